"""Makes an issued document again in a scratch home, from the versions and documents it names (R26).

The order of the steps only: ingest loads, dbt computes and invoicing issues, as in any month-end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_project.lib import scratch, warehouse
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.ledger import Document
    from invoicing.reproduce import Reproduction


def reproduce(settings: Settings, document: Document, tell: scratch.Tell) -> Reproduction:
    """The document as issued beside the document as made now; nothing is written to the home.

    Raises ScratchError, JournalError or NotReproducibleError when something it was made from is
    gone, LedgerError when the ledger is damaged, DbtError when a model fails.
    """
    from invoicing.ledger import Ledger
    from invoicing.reproduce import compare, documents_known, reissue

    ledger = Ledger(settings.ledger)
    ledger.check()
    known = documents_known(document)
    place = (document.distributor_id, document.sequence)
    with scratch.home(settings) as own:
        version_set = document.provenance["version_set_sha256"]
        scratch.take_versions(settings, own, version_set, tell)
        scratch.take_documents(settings, own, known)
        with warehouse.connect(own) as conn:
            warehouse.bring_up_to_date(conn, own, scratch.progress(tell))
        scratch.build(own, [scratch.INVOICES], tell)
        # A run that issued several documents computed them all from the ledger before the first.
        scratch.take_documents(settings, own, {place[0]: place[1] - 1})
        again_ledger = Ledger(own.ledger)
        with warehouse.connect(own) as conn:
            again = reissue(conn, again_ledger, document)
        return compare(
            document, ledger.roster_path(*place), again, again_ledger.roster_path(*place)
        )
