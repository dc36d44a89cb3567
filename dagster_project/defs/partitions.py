"""The days and months that work is divided into.

Only the divisions; what is done with one is in the other modules.
"""

import dagster as dg

from dagster_project.lib.settings import Settings


def days(settings: Settings) -> dg.DailyPartitionsDefinition:
    """One partition a snapshot date, today's included: a snapshot arrives on its own day."""
    return dg.DailyPartitionsDefinition(start_date=settings.first_day.isoformat(), end_offset=1)


def months(settings: Settings) -> dg.MonthlyPartitionsDefinition:
    """One partition a period `YYYY-MM`, this month's included: a cut-off may be on its 25th."""
    return dg.MonthlyPartitionsDefinition(
        start_date=f"{settings.first_day:%Y-%m}", end_offset=1, fmt="%Y-%m"
    )
