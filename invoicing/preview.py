"""What a partner can be shown of a draft before it is closed: its own part, and what is amiss.

Nothing of another partner or distributor, and no id of ours, may get past this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import duckdb

from invoicing import documents, draft
from invoicing.canonical import JsonObject, money_text
from invoicing.draft import DraftInvoice, Row, rows

_LINE = (
    "product_code",
    "product_name",
    "billing_unit",
    "quantity",
    "joined",
    "left_since",
    "pricing_model",
    "unit_price",
    "bands",
    "units_to_next_band",
    "amount",
)
_CUSTOMER = ("customer_id", "customer_name", "quantity", "joined", "left_since", "amount")

# A sentence for the partner for each kind of discrepancy; `found` and `expected` only where they
# cannot name anybody else. A kind without a sentence is told by its name alone.
_WORDS = {
    "unlicensed_usage": "{product} is in use and not billed: {found}. Register the licence, or "
    "have the product removed.",
    "firewall_unlicensed": "{found}, and not billed: order the billing licence for its serial.",
    "heartbeat_customer_differs": "{found}. It is billed to the customer that holds its licence; "
    "correct the registration of the firewall.",
    "unknown_operating_system": "{found}, a system we do not know. Only SFOS is billed: tell us "
    "what it is.",
    "firewall_two_products": "{found}. A unit of each is billed; end the licence that is wrong.",
    "unapproved_transfer": "{found}. The invoice waits until they are recorded.",
    "monthly_outside_flex": "{product}: a monthly licence needs the programme Connect Flex. The "
    "invoice waits until this is settled.",
    "excluded_territory": "{product} cannot be billed in this country. The invoice waits until "
    "this is settled.",
    "partner_resale": "{product}: a customer has to be registered with the partner that buys for "
    "it. The invoice waits until this is settled.",
    "stale_trial": "{product}: a trial is {expected}. Convert it to monthly or term, or end it.",
    "term_overuse": "{product}: {found}, the term licence is for {expected}. Buy what is missing.",
    "term_licence_shared": "{product}: a term licence is used by more than one customer. Buy one "
    "for each.",
    "customer_vanished": "{found}. Say so if the customer is still yours.",
    "registry_conflict": "two of our registries disagree; the later record counts.",
    "legacy_programme_registration": "{found}; this programme takes no new partners. Register "
    "under Connect or Connect Flex.",
    "portal_mismatch": "{product}: {found}, counted here are {expected}.",
    "psa_mismatch": "{product}: {found}, counted here are {expected}. Change the agreement.",
    "psa_without_licence": "{product}: {found}, and no licence for it was in effect. End the "
    "addition, or have the licence registered.",
    "unknown_psa_company": "{product}: {found}, for a company that is no customer here. Name its "
    "customer, or end the addition.",
    "price_missing": "{product} has no price yet, so its amount is missing here.",
    "price_ambiguous": "{product} has more than one price, so its amount is missing here.",
    "swing": "{product}: {found}, far from last month. It is checked before the invoice.",
    "duplicate_hardware": "{product}: two ids may be one machine, counted twice. Say so if they "
    "are.",
    "ha_licence_silent": "a firewall cluster is active, but its licence is on a member that is "
    "silent: not billed. Move the licence to the active member.",
    "identifier_is_email": "some user or device ids are e-mail addresses; ids should name nobody.",
    "twin_names": "another customer has the same name. Check that it is not registered twice.",
    "unknown_product": "{product} is in use but not on the price list, and not billed.",
}
_UNKNOWN = "{kind} is being checked."


class UnknownPartnerError(ValueError):
    """No draft of the period knows this partner."""


@dataclass(frozen=True)
class Preview:
    """One partner's part of one draft. `is_over`: every expected source has delivered up to the
    cut-off. `lines` have their customers under them, as in the document; products nobody used come
    last. Money and prices are decimal text; dates are ISO text.
    """

    period: str
    partner_id: str
    partner_name: str | None
    currency: str
    period_starts_on: str
    window_starts_on: str
    cutoff_on: str
    is_over: bool
    units: int
    amount: str
    lines: tuple[JsonObject, ...]
    warnings: tuple[str, ...]


def previews(
    conn: duckdb.DuckDBPyConnection, period: str, partner_id: str
) -> list[tuple[DraftInvoice, Preview]]:
    """The partner's part of each draft of the period that it is in: one, unless it changed
    distributor or currency. Raises UnknownPartnerError when it is in none.
    """
    found = []
    for invoice in draft.invoices(conn, period):
        groups = [
            group
            for of_kind in documents.lines_of(conn, invoice)
            for group in of_kind
            if group["partner_id"] == partner_id
        ]
        warnings = _warnings(conn, invoice, partner_id, groups)
        if groups or warnings:
            found.append((invoice, _preview(invoice, partner_id, groups, warnings)))
    if not found:
        raise UnknownPartnerError(
            f"No draft of {period} has a partner {partner_id}. `muster draft {period}` shows whom "
            "it has."
        )
    return found


def _preview(
    invoice: DraftInvoice, partner_id: str, groups: list[JsonObject], warnings: list[str]
) -> Preview:
    amount = sum((Decimal(group["amount"]) for group in groups), Decimal(0))
    return Preview(
        period=invoice.period,
        partner_id=partner_id,
        partner_name=groups[0]["partner_name"] if groups else None,
        currency=invoice.currency,
        period_starts_on=invoice.period_starts_on.isoformat(),
        window_starts_on=invoice.window_starts_on.isoformat(),
        cutoff_on=invoice.cutoff_on.isoformat(),
        is_over=invoice.is_complete,
        units=sum(group["quantity"] for group in groups),
        amount=money_text(amount, invoice.minor_units),
        lines=tuple(_line(group) for group in groups),
        warnings=tuple(warnings),
    )


def _line(group: JsonObject) -> JsonObject:
    customers = [{name: one[name] for name in _CUSTOMER} for one in group["customers"]]
    return {**{name: group[name] for name in _LINE}, "customers": customers}


def _warnings(
    conn: duckdb.DuckDBPyConnection,
    invoice: DraftInvoice,
    partner_id: str,
    groups: list[JsonObject],
) -> list[str]:
    """The partner's open warnings and blocking discrepancies, a sentence each, no two the same."""
    found = rows(
        conn,
        """
        select kind, customer_id, product_code, expected, found
        from billing.draft_discrepancies
        where period = ? and distributor_id = ? and partner_id = ?
            and state = 'open' and severity in ('blocking', 'warning')
        order by kind, customer_id nulls first, product_code nulls first, found
        """,
        [invoice.period, invoice.distributor_id, partner_id],
    )
    customers = {
        one["customer_id"]: one["customer_name"] for group in groups for one in group["customers"]
    }
    products = {
        row["product_code"]: row["product_name"]
        for row in rows(
            conn,
            "select distinct product_code, product_name from billing.draft_invoice_lines",
            [],
        )
    }
    return list(dict.fromkeys(_sentence(row, customers, products) for row in found))


def _sentence(row: Row, customers: dict[str, str], products: dict[str, str]) -> str:
    code = row["product_code"]
    text = _WORDS.get(row["kind"], _UNKNOWN).format(
        kind=row["kind"].replace("_", " "),
        product=products.get(code, code or "a product"),
        expected=row["expected"],
        found=row["found"],
    )
    customer_id = row["customer_id"]
    name = customers.get(customer_id, customer_id)
    return f"{name}: {text}" if customer_id else f"{text[:1].upper()}{text[1:]}"
