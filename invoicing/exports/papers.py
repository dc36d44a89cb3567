"""invoice.pdf, note.pdf and each partner's statement.pdf: what is printed, as words and figures.

Figures are the document's own, written for people. How a page looks is in `templates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from invoicing.canonical import JsonObject
from invoicing.content import says_what_counted
from invoicing.exports.exported import ExportedFile
from invoicing.exports.pdf import pdf
from invoicing.exports.words import bands_in_words, causes, title_of
from invoicing.exports.workbooks import groups_of

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
Attachments = Mapping[str, bytes]


def invoice_pdf(content: JsonObject, attachments: Attachments | None = None) -> ExportedFile:
    """A4 pages: parties, lines by partner with subtotals, tax where the document has it, payment.

    `attachments` are embedded by name, so that the electronic invoice travels with the page.
    """
    totals = content["totals"]
    lines = content["lines"]
    data = {
        **_head(content),
        "groups": [
            {
                **_partner(partner),
                "lines": [
                    _line(line) for line in lines if line["partner_id"] == partner["partner_id"]
                ],
            }
            for partner in totals["partners"]
            if partner["line_count"]
        ],
        "totals": _totals(content),
        "payment": _payment(content),
        "remark": None
        if lines
        else "Nothing was used in this period that is billed. Nothing is due.",
    }
    return _file("invoice", data, content, attachments)


def note_pdf(content: JsonObject, attachments: Attachments | None = None) -> ExportedFile:
    """A4 pages: per line what was billed, what is known, the difference and its causes in words."""
    lines = content["lines"]
    data = {
        **_head(content),
        "groups": [
            {
                **_partner(partner),
                "lines": [
                    _note_line(line)
                    for line in lines
                    if line["partner_id"] == partner["partner_id"]
                ],
            }
            for partner in content["totals"]["partners"]
        ],
        "totals": _totals(content),
        "payment": _payment(content),
        "remark": _about(content),
    }
    return _file("note", data, content, attachments)


def statements_pdf(content: JsonObject) -> list[ExportedFile]:
    """One statement per partner with a monthly customer: its products, price bands, customers."""
    return [_statement(content, partner) for partner in content["totals"]["partners"]]


def _statement(content: JsonObject, partner: JsonObject) -> ExportedFile:
    groups = groups_of(content, partner["partner_id"])
    distributor, dates = content["distributor"], content["dates"]
    facts = [
        ("Partner ID", partner["partner_id"]),
        ("Period", content["period"]),
        *_days(content),
        ("Invoice", content["number"]),
        ("Issued", day(dates["issue_on"])),
        ("Currency", content["currency"]),
    ]
    data = {
        "title": "Statement",
        "number": content["period"],
        "from": _party(distributor, "distributor"),
        "to": {"name": partner["partner_name"], "lines": []},
        "to_label": "For",
        "facts": _told(facts),
        "currency": content["currency"],
        "footer": [distributor.get("distributor_name") or distributor["distributor_id"]],
        "products": [_product(group) for group in groups],
        "units_are": _units_are(content),
        "total": {
            "units": figure(partner["units"]),
            "joined": _known(partner["joined"]),
            "left": _known(partner["left_since"]),
            "amount": figure(partner["amount"]),
        },
    }
    body = pdf(
        "statement",
        data,
        on=date.fromisoformat(dates["issue_on"]),
        country=distributor.get("country"),
    )
    return ExportedFile(
        path=f"partners/{partner['partner_id']}/statement.pdf",
        body=body,
        rows=sum(len(group["customers"]) for group in groups),
        totals={"amount": partner["amount"], "quantity": partner["units"]},
    )


def _file(
    template: str, data: JsonObject, content: JsonObject, attachments: Attachments | None
) -> ExportedFile:
    totals = content["totals"]
    return ExportedFile(
        path=f"{template}.pdf",
        body=pdf(
            template,
            data,
            on=date.fromisoformat(content["dates"]["issue_on"]),
            country=content["distributor"].get("country"),
            attachments=attachments,
        ),
        rows=totals["line_count"],
        totals={"amount": totals["amount"], "quantity": totals["units"]},
    )


def _head(content: JsonObject) -> JsonObject:
    """What stands above the lines of an invoice and of a note, and in the footer."""
    dates, seller = content["dates"], content["seller"]
    facts = [("Number", content["number"]), ("Issued", day(dates["issue_on"]))]
    if "corrects" in content:
        facts += [
            ("Corrects invoice", content["corrects"]["number"]),
            ("Corrected period", content["corrects"]["period"]),
        ]
    else:
        facts += [
            ("Due", day(dates["due_on"]) if content["number"] else None),
            ("Period", content["period"]),
        ]
    facts += [
        *_days(content),
        ("Purchase order", content["purchase_order"]),
        ("Currency", content["currency"]),
    ]
    return {
        # Without its number, which is beside it.
        "title": title_of({**content, "number": None}),
        "number": content["number"],
        "from": _party(seller, "seller"),
        "to": _party(content["distributor"], "distributor"),
        "to_label": "To",
        "facts": _told(facts),
        "currency": content["currency"],
        "footer": [
            text
            for text in (
                seller.get("seller_name") or seller["seller_id"],
                seller.get("tax_id") and f"Tax ID {seller['tax_id']}",
                seller.get("iban") and f"IBAN {seller['iban']}",
            )
            if text
        ],
    }


def _days(content: JsonObject) -> list[tuple[str, str]]:
    """The period begins on one date and activity counts from another; both end on the cut-off
    (R1, R2)."""
    dates = content["dates"]
    begins, cutoff = day(dates["period_starts_on"]), day(dates["cutoff_on"])
    if not says_what_counted(content):
        return [("First day", begins), ("Cut-off", cutoff)]
    counted_from = day(dates["window_starts_on"])
    return [("Period begins", begins), ("Counted from", counted_from), ("Cut-off", cutoff)]


def _units_are(content: JsonObject) -> str:
    if not says_what_counted(content):
        return "Units are those counted in the days above."
    first, last = (day(content["dates"][name]) for name in ("window_starts_on", "cutoff_on"))
    return f"Units are those active from {first} to {last}, both included, in UTC."


def _party(party: JsonObject, role: str) -> JsonObject:
    town = " ".join(party[name] for name in ("postal_code", "city") if party.get(name))
    lines = [party.get("street"), town, party.get("country")]
    if party.get("tax_id"):
        lines.append(f"Tax ID {party['tax_id']}")
    return {
        "name": party.get(f"{role}_name") or party[f"{role}_id"],
        "lines": [line for line in lines if line],
    }


def _partner(partner: JsonObject) -> JsonObject:
    return {
        "id": partner["partner_id"],
        "name": partner["partner_name"],
        "units": figure(partner["units"]),
        "amount": figure(partner["amount"]),
    }


def _line(line: JsonObject) -> JsonObject:
    return {
        "number": str(line["line_number"]),
        "product": line["product_name"],
        "code": " ".join(text for text in (line["product_code"], line["sku"]) if text),
        "unit": line["billing_unit"],
        "quantity": figure(line["quantity"]),
        # Graduated: no one price, so the bands are told.
        "price": None if line["unit_price"] is None else figure(line["unit_price"]),
        "bands": bands_in_words(line["bands"]) if line["unit_price"] is None else "",
        "amount": figure(line["amount"]),
    }


def _note_line(line: JsonObject) -> JsonObject:
    return {
        "number": str(line["line_number"]),
        "corrects": None if line["corrects_line"] is None else str(line["corrects_line"]),
        "product": line["product_name"],
        "code": " ".join(text for text in (line["product_code"], line["sku"]) if text),
        "unit": line["billing_unit"],
        **_difference(line),
        "customers": [
            {"id": one["customer_id"], "name": one["customer_name"], **_difference(one)}
            for one in line["customers"]
        ],
    }


def _difference(row: JsonObject) -> JsonObject:
    return {
        "billed_units": figure(row["billed_quantity"]),
        "billed": figure(row["billed_amount"]),
        "known_units": figure(row["known_quantity"]),
        "known": figure(row["known_amount"]),
        "units": figure(row["quantity"]),
        "amount": figure(row["amount"]),
        "causes": [
            {"words": words, "units": _signed(units), "amount": _signed(amount)}
            for words, units, amount in causes(row["causes"])
        ],
    }


def _product(group: JsonObject) -> JsonObject:
    low, high, ahead = (group[name] for name in ("band_min", "band_max", "units_to_next_band"))
    return {
        "name": group["product_name"],
        "code": group["product_code"],
        "unit": group["billing_unit"],
        "units": figure(group["quantity"]),
        "joined": _known(group["joined"]),
        "left": _known(group["left_since"]),
        "price": None if group["unit_price"] is None else figure(group["unit_price"]),
        "bands": bands_in_words(group["bands"]) if group["unit_price"] is None else "",
        "band": ""
        if low is None
        else f"from {figure(low)}"
        if high is None
        else f"{figure(low)} to {figure(high)}",
        "ahead": "" if ahead is None else figure(ahead),
        "amount": figure(group["amount"]),
        "customers": [
            {
                "id": one["customer_id"],
                "name": one["customer_name"],
                "licence": one["licence_type"],
                "units": figure(one["quantity"]),
                "joined": _known(one["joined"]),
                "left": _known(one["left_since"]),
                "month": figure(one["calendar_month_units"]),
                "amount": figure(one["amount"]),
            }
            for one in group["customers"]
        ],
    }


def _totals(content: JsonObject) -> list[JsonObject]:
    """The amounts below the lines; the last is the one that counts."""
    currency, net = content["currency"], figure(content["totals"]["amount"])
    tax = content.get("tax")
    if not tax:
        return [{"label": f"Net total {currency}", "amount": net, "reason": None}]
    # The code says which kind of no tax it is; the reason says it in words.
    label = f"Tax {tax['rate']}% ({tax['category']})"
    return [
        {"label": f"Net amount {currency}", "amount": net, "reason": None},
        {"label": label, "amount": figure(tax["tax_amount"]), "reason": tax.get("reason")},
        {
            "label": f"{_payable(content)} {currency}",
            "amount": figure(tax["payable_amount"]),
            "reason": None,
        },
    ]


def _payable(content: JsonObject) -> str:
    return "Credited" if content["kind"] == "credit_note" else "Payable"


def _payment(content: JsonObject) -> list[tuple[str, str]]:
    if content["kind"] not in ("invoice", "debit_note"):
        return []
    dates, seller = content["dates"], content["seller"]
    days = date.fromisoformat(dates["due_on"]) - date.fromisoformat(dates["issue_on"])
    return _told(
        [
            ("Due", f"{day(dates['due_on'])}, {days.days} days after issue"),
            ("To", seller.get("seller_name") or seller["seller_id"]),
            ("IBAN", seller.get("iban")),
            ("Reference", content["number"]),
        ]
    )


def _about(content: JsonObject) -> str:
    corrects = content["corrects"]
    if corrects["number"] is None:
        # Passed over, and billed by notes ever since.
        return f"Corrects {corrects['period']}, which has no invoice, to what is known now."
    of = f"invoice {corrects['number']} of {corrects['period']}"
    if content["cancels"]:
        return f"Takes back {of} whole. Reason: {content['reason']}"
    return f"Corrects {of} to what is known now."


def _told(facts: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    return [(label, str(value)) for label, value in facts if value is not None]


def _known(value: int | None) -> str:
    """A first period has none before it, so who joined and left is not known."""
    return "\u2013" if value is None else figure(value)


def _signed(value: Any) -> str:
    text = figure(str(value))
    return text if text.startswith("\u2212") else f"+{text}"


def figure(value: int | str) -> str:
    """`-1234.50` is `\u22121,234.50`: grouped, with the decimals it has, and a minus for people."""
    text = str(value)
    sign, digits = ("\u2212", text[1:]) if text.startswith("-") else ("", text)
    whole, point, decimals = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{decimals}"


def day(iso: str) -> str:
    """`2026-01-31` is `31 January 2026`."""
    on = date.fromisoformat(iso)
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"
