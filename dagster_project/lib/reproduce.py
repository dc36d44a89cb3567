"""Makes an issued document again from the versions it names; its period as known today (R26).

The order of the steps only: ingest loads, dbt computes and invoicing issues, as in any month-end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_project.lib import scratch, warehouse
from dagster_project.lib.settings import Settings

if TYPE_CHECKING:
    from invoicing.as_known import AsKnown
    from invoicing.ledger import Document
    from invoicing.reproduce import Reproduction


def reproduce(settings: Settings, document: Document, tell: scratch.Tell) -> Reproduction:
    """The document as issued beside the document as made now; nothing is written to the home.

    Raises ScratchError, JournalError or NotReproducibleError when something it was made from is
    gone, LedgerError when the ledger is damaged, DbtError when a model fails.
    """
    from invoicing.ledger import Ledger
    from invoicing.reproduce import (
        compare,
        documents_known,
        of_the_same_run,
        reissue,
        take_back_again,
    )

    ledger = Ledger(settings.ledger)
    ledger.check()
    known = documents_known(document)
    place = (document.distributor_id, document.sequence)
    with scratch.home(settings) as own:
        if document.cancels:
            scratch.take_documents(settings, own, known)
            own_ledger = Ledger(own.ledger, is_partial=True)
            again = take_back_again(own_ledger, document)
            return compare(
                document, ledger.roster_path(*place), again, own_ledger.roster_path(*place)
            )
        version_set = document.provenance["version_set_sha256"]
        scratch.take_versions(settings, own, version_set, tell)
        scratch.take_documents(settings, own, known)
        with warehouse.connect(own) as conn:
            warehouse.bring_up_to_date(conn, own, scratch.progress(tell))
        scratch.build(own, [scratch.INVOICES], tell)
        again_ledger = Ledger(own.ledger, is_partial=True)
        with warehouse.connect(own) as conn:
            again = reissue(conn, again_ledger, of_the_same_run(ledger, document))
        return compare(
            document, ledger.roster_path(*place), again, again_ledger.roster_path(*place)
        )


def as_known_today(settings: Settings, document: Document, tell: scratch.Tell) -> AsKnown:
    """The document beside its period as the publication has it.

    A period past correcting is in no publication: it is computed in a scratch home, from the files
    and reference data in force. Raises as `scratch.take_present`, and ScratchError for what is no
    invoice of a period.
    """
    from dagster_project.lib.status import published
    from invoicing.as_known import as_known, is_recomputed
    from invoicing.ledger import Ledger

    if document.content["kind"] not in ("invoice", "nil"):
        raise scratch.ScratchError(
            f"{document.name} is no invoice of a period: compare the one it corrects with today."
        )
    ledger = Ledger(settings.ledger)
    roster = ledger.roster_path(document.distributor_id, document.sequence)
    conn = published(settings)
    if conn is not None:
        with conn:
            if is_recomputed(conn, document):
                return as_known(conn, document, roster)
    with scratch.home(settings) as own:
        tell("computing", f"{document.period} is past correcting and in no publication")
        scratch.take_present(settings, own, tell)
        with warehouse.connect(own) as conn:
            # Nothing is past correcting here, whatever was reviewed.
            conn.execute(
                "update reference.policies set value = '1000' where policy = 'recomputed_periods'"
            )
        scratch.build(own, [f"source:reference.policies+,{scratch.INVOICES}"], tell)
        with warehouse.connect(own) as conn:
            return as_known(conn, document, roster)
