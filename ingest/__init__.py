"""Landing file to raw table: contracts, parsing, quarantine, intake journal, archive, load.

Nothing here knows Dagster, dbt or invoices; what a count means is decided in SQL.
"""
