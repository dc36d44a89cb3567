"""What managed customers use on any date, as the publication knows it: the page before the invoice.

Putting together only: who is active is the marts' functions', what a page shows is `invoicing`'s.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from invoicing.canonical import JsonObject, price_text

if TYPE_CHECKING:
    import duckdb

    from invoicing.exports.managed_customer_usage import Usage
    from invoicing.ledger import Ledger

Key = tuple[str, str]  # customer, product


class UsageError(ValueError):
    """Nothing can be told of this date, partner or distributor; the message says what can."""


@dataclass(frozen=True)
class _Period:
    """The drafted period of a distributor and currency that holds the date asked for."""

    period: str
    distributor_id: str
    distributor_name: str
    currency: str
    minor_units: int
    period_starts_on: date
    window_days: int
    attribution: str
    firewall_evidence: str


def latest(conn: duckdb.DuckDBPyConnection) -> date | None:
    """The last day up to which every source still expected has sent its usage and heartbeats."""
    found: date | None = conn.execute(
        """
        with
            calendar as (
                select * from quality.feed_calendar where feed in ('usage', 'heartbeat')
            ),

            sources as (
                select max(snapshot_date) filter (is_received) as latest_received_on
                from calendar
                group by feed, source
                having max(snapshot_date) = (select max(snapshot_date) from calendar)
            )

        select min(latest_received_on) from sources
        """
    ).fetchall()[0][0]
    return found


def usage(
    conn: duckdb.DuckDBPyConnection,
    ledger: Ledger,
    as_of: date,
    partner_id: str | None = None,
    distributor_id: str | None = None,
) -> list[Usage]:
    """Provisional usage of each distributor on a date, or with `partner_id` that partner's part.

    Active units are those of the window that ends on the date, as if it were the cut-off; licences
    are those of the period that holds it, who joined and left is asked of the roster last issued
    before it. Raises UsageError when no drafted period holds the date, or nobody is found.
    """
    from invoicing.exports.managed_customer_usage import by_partner

    periods = _periods(conn, as_of)
    whole = [
        _of_period(conn, ledger, period, as_of)
        for period in periods
        if distributor_id in (None, period.distributor_id)
    ]
    if partner_id is not None:
        whole = [one for each in whole for one in by_partner(each) if one.owner_id == partner_id]
    if not whole:
        wanted = partner_id or distributor_id
        raise UsageError(
            f"Nothing is known of {wanted} on {as_of}. `muster usage --as-of {as_of}` shows whom "
            "there is."
        )
    return whole


def _periods(conn: duckdb.DuckDBPyConnection, as_of: date) -> list[_Period]:
    rows = conn.execute(
        """
        select
            period, distributor_id, distributor_name, currency, minor_units, period_starts_on,
            cutoff_on, policies
        from billing.draft_invoices
        order by distributor_id, currency, period
        """
    ).fetchall()
    found = []
    for row in rows:
        if row[5] <= as_of <= row[6]:
            policies = json.loads(row[7])
            names = ("active_window_days", "device_user_attribution", "firewall_evidence")
            found.append(_Period(*(*row[:6], *(policies[name] for name in names))))
    if not found:
        reach = (
            f"from {min(row[5] for row in rows)} to {max(row[6] for row in rows)}"
            if rows
            else "at no date yet"
        )
        raise UsageError(
            f"No period that is still computed holds {as_of}: usage can be asked {reach}. For an "
            "issued month see its managed_customer_usage.csv among the exports."
        )
    return found


def _of_period(
    conn: duckdb.DuckDBPyConnection, ledger: Ledger, period: _Period, as_of: date
) -> Usage:
    from invoicing.exports.managed_customer_usage import Usage, products_of, uses_of
    from invoicing.roster_summary import of_tables

    key = [period.period, period.distributor_id, period.currency]
    _load_units(conn, period, as_of, period.window_days)
    has_before = _load_before(conn, ledger, period)
    rosters = of_tables(conn, has_before=has_before)
    counted = _counts(conn)
    _load_units(conn, period, as_of, (as_of - period.period_starts_on).days + 1)
    to_date = {one: active for one, (active, _, _) in _counts(conn).items()}
    managed, not_billed = _managed(conn, key, as_of, counted)
    return Usage(
        state="provisional",
        as_of=as_of.isoformat(),
        period=period.period,
        number=None,
        window_starts_on=(as_of - timedelta(days=period.window_days - 1)).isoformat(),
        window_ends_on=as_of.isoformat(),
        currency=period.currency,
        owner_kind="distributor",
        owner_id=period.distributor_id,
        owner_name=period.distributor_name,
        rest="in activity.active_units of the published database",
        products=products_of(managed),
        uses=tuple(uses_of(managed, (), not_billed, rosters, to_date)),
        lines=tuple(_lines(conn, managed, period, as_of)),
    )


def _load_units(conn: duckdb.DuckDBPyConnection, period: _Period, as_of: date, days: int) -> None:
    """Table `roster`: the units active on the dates up to one, of the customers of a draft.

    Counted under the period's own policy: an issued one keeps what it was issued with.
    A firewall counts as int_active_firewalls has it: for its licence's customer and product, of an
    active-passive cluster the licensed member heard last, of the serials of one licence the latest
    that is active (R9); without a licence it is unassigned.
    """
    conn.execute(
        """
        create or replace temporary table roster as
        with
            customers as (
                select distinct customer_id from billing.draft_managed_customers
                where period = $period and distributor_id = $distributor and currency = $currency
            ),

            claims as (select * from quality.firewall_claims where period = $period),

            firewalls as (
                select * from activity.firewalls_by_evidence($as_of, $days, $evidence)
            ),

            replaced as (
                select distinct repointed.licence_id, repointed.serial_number
                from quality.repointed_licences as repointed
                inner join firewalls on repointed.later_serial_number = firewalls.serial_number
                where
                    repointed.period = $period and repointed.distributor_id = $distributor
                    and firewalls.operating_system = 'SFOS'
            ),

            candidates as (
                select
                    firewalls.*,
                    claims.customer_id as licence_customer_id,
                    claims.product_code,
                    replaced.licence_id is not null as is_replaced,
                    operating_system = 'SFOS'
                    and not is_replaced
                    and coalesce(claims.licence_type = 'monthly', false) as is_licensed,
                    operating_system = 'SFOS'
                    and coalesce(cluster_mode = 'active-passive', false)
                    and cluster_id is not null as is_in_pair
                from firewalls
                left join claims on firewalls.serial_number = claims.serial_number
                left join
                    replaced
                    on claims.licence_id = replaced.licence_id
                    and claims.serial_number = replaced.serial_number
                    and claims.licence_type = 'monthly'
                where claims.distributor_id is null or claims.distributor_id = $distributor
                qualify
                    not is_replaced
                    or bool_and(is_replaced) over (partition by firewalls.serial_number)
            ),

            pairs as (
                select
                    *,
                    is_in_pair and bool_or(is_licensed and is_in_pair) over (
                        partition by customer_id, cluster_id
                    ) as is_in_licensed_pair,
                    is_licensed and row_number() over (
                        partition by customer_id, cluster_id, product_code, is_in_pair, is_licensed
                        order by last_active_on desc, serial_number
                    ) = 1 as is_counted_of_pair
                from candidates
            ),

            firewall_units as (
                select
                    coalesce(licence_customer_id, customer_id) as customer_id,
                    coalesce(product_code, 'firewall_unassigned') as product_code,
                    serial_number as unit_id,
                    case
                        when operating_system <> 'SFOS' then 'not_sfos'
                        when is_replaced then 'replaced_hardware'
                        when is_in_licensed_pair and not is_counted_of_pair then 'ha_member'
                    end as reason,
                    last_active_on,
                    active_on
                from pairs
            ),

            units as (
                select customer_id, product_code, unit_id, null as reason, last_active_on, active_on
                from activity.active_units_under_policy($as_of, $days, $attribution)
                union all
                select * from firewall_units
            ),

            billed as (
                select customer_id, product_code from billing.draft_invoice_customers
                where period = $period and distributor_id = $distributor and currency = $currency
            ),

            licences as (
                select customer_id, product_code, licence_type from billing.draft_managed_customers
                where period = $period and distributor_id = $distributor and currency = $currency
            ),

            blocked as (
                select customer_id, product_code, min(reason) as reason
                from billing.draft_not_billed
                where
                    period = $period and distributor_id = $distributor
                    and reason not in ('ha_member', 'not_sfos', 'replaced_hardware')
                group by customer_id, product_code
            ),

            with_reason as (
                select
                    units.* exclude (reason),
                    case
                        when units.reason is not null then units.reason
                        when billed.customer_id is not null then null
                        when licences.licence_type in ('term', 'trial') then licences.licence_type
                        when licences.licence_type = 'monthly'
                        then coalesce(blocked.reason, 'monthly_not_billed')
                        else coalesce(blocked.reason, 'unlicensed')
                    end as reason
                from units
                semi join customers on units.customer_id = customers.customer_id
                left join billed using (customer_id, product_code)
                left join licences using (customer_id, product_code)
                left join blocked using (customer_id, product_code)
            )

        select *, reason is null as is_counted from with_reason
        """,
        {
            "period": period.period,
            "distributor": period.distributor_id,
            "currency": period.currency,
            "as_of": as_of,
            "days": days,
            "evidence": period.firewall_evidence,
            "attribution": period.attribution,
        },
    )


def _load_before(conn: duckdb.DuckDBPyConnection, ledger: Ledger, period: _Period) -> bool:
    """Table `roster_before`: the roster last issued of the month before; False without one."""
    from invoicing.exports.managed_customer_usage import last_said_of_the_month_before

    before = last_said_of_the_month_before(
        ledger.documents(period.distributor_id),
        period.period,
        period.currency,
    )
    if before is None:
        return False
    conn.execute(
        "create or replace temporary table roster_before as select * from read_parquet(?)",
        [str(ledger.roster(before))],
    )
    return True


def _counts(conn: duckdb.DuckDBPyConnection) -> dict[Key, tuple[int, int, dict[str, int]]]:
    """Active and billed units and the reasons of the others, by customer and product."""
    active: dict[Key, int] = defaultdict(int)
    billed: dict[Key, int] = defaultdict(int)
    reasons: dict[Key, dict[str, int]] = defaultdict(dict)
    for customer_id, product_code, reason, units in conn.execute(
        """
        select customer_id, product_code, reason, count(*) from roster
        group by customer_id, product_code, reason
        order by customer_id, product_code, reason
        """
    ).fetchall():
        key = (customer_id, product_code)
        active[key] += units
        if reason is None:
            billed[key] += units
        else:
            reasons[key][reason] = units
    return {key: (active[key], billed[key], reasons[key]) for key in active}


def _managed(
    conn: duckdb.DuckDBPyConnection,
    key: list[str],
    as_of: date,
    counted: dict[Key, tuple[int, int, dict[str, int]]],
) -> tuple[list[JsonObject], list[JsonObject]]:
    """As `managed_customers` and `not_billed` of a document, with the figures of the date."""
    from invoicing.draft import rows

    managed = rows(
        conn,
        """
        select
            partner_id, partner_name, customer_id, customer_name, product_code, product_name,
            billing_unit, listing_order, licence_type, owner, licensed_quantity
        from billing.draft_managed_customers
        where period = ? and distributor_id = ? and currency = ?
        order by partner_id, customer_id, listing_order nulls last, product_code
        """,
        list(key),
    )
    customers = {row["customer_id"]: row for row in managed}
    products = {
        code: {"product_name": name, "billing_unit": unit, "listing_order": order}
        for code, name, unit, order in conn.execute(
            """
            select product_code, product_name, billing_unit, listing_order from activity.products
            where ? between valid_from and coalesce(valid_to, date '9999-12-31')
            """,
            [as_of],
        ).fetchall()
    }
    known = {(row["customer_id"], row["product_code"]) for row in managed}
    nameless: dict[str, Any] = dict.fromkeys(("product_name", "billing_unit", "listing_order"))
    for customer_id, product_code in sorted(counted.keys() - known):
        managed.append(
            {
                **customers[customer_id],
                "product_code": product_code,
                **products.get(product_code, nameless),
                "licence_type": "none",
                "owner": None,
                "licensed_quantity": None,
            }
        )
    not_billed = []
    for row in managed:
        active, billed, reasons = counted.get((row["customer_id"], row["product_code"]), (0, 0, {}))
        row |= {"active_units": active, "billed_units": billed}
        not_billed += [
            {
                "customer_id": row["customer_id"],
                "product_code": row["product_code"],
                "reason": reason,
                "units": units,
            }
            for reason, units in reasons.items()
        ]
    return managed, not_billed


def _lines(
    conn: duckdb.DuckDBPyConnection, managed: list[JsonObject], period: _Period, as_of: date
) -> list[JsonObject]:
    """The band a partner's units reach on the date and how many are missing to the next (R17).

    No amounts: what will be billed is the draft's to say.
    """
    units: dict[Key, int] = defaultdict(int)
    for row in managed:
        units[row["partner_id"], row["product_code"]] += row["billed_units"]
    bands = defaultdict(list)
    for product_code, *band in conn.execute(
        """
        select product_code, pricing_model, unit_price, min_quantity, max_quantity
        from reference.price_bands
        where currency = ? and ? between valid_from and coalesce(valid_to, date '9999-12-31')
        order by product_code, min_quantity
        """,
        [period.currency, as_of],
    ).fetchall():
        bands[product_code].append(band)
    lines = []
    for (partner_id, product_code), quantity in units.items():
        reached = [
            band
            for band in bands[product_code]
            if band[2] <= quantity and (band[3] is None or quantity <= band[3])
        ]
        if not quantity:
            continue
        # None or two: price_missing or price_ambiguous, which holds an invoice (R18).
        model, price, first, last = reached[0] if len(reached) == 1 else (None,) * 4
        lines.append(
            {
                "partner_id": partner_id,
                "product_code": product_code,
                "quantity": quantity,
                "pricing_model": model,
                "unit_price": (
                    price_text(price, period.minor_units) if price and model == "volume" else None
                ),
                "band_min": first,
                "band_max": last,
                "units_to_next_band": None if last is None else last + 1 - quantity,
                "amount": None,
            }
        )
    return lines
