"""Musterhouse's wiring: assets, checks, schedules, the sensor and the command line.

No business rule belongs here: those are in ``ingest``, ``dbt`` and ``invoicing``.
"""
