"""Gate, ledger, documents and exports: from a draft in the warehouse to files for a distributor.

It reads the schema `billing`, writes the schema `ledger`; orchestration and SQL live elsewhere.
"""
