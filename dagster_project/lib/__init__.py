"""What the definitions are made of: settings, the writer's lock, dbt in-process, publishing.

No Dagster definition belongs here; those are in ``dagster_project.defs``.
"""
