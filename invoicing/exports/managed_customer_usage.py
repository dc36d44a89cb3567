"""managed_customer_usage.html and .csv: every managed customer, product by product, as the vendor
shows it, one page per partner and one of all. Rendering only; the figures are the ledger's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from invoicing.canonical import JsonObject
from invoicing.content import PARTNER
from invoicing.exports.exported import Cell, ExportedFile, csv_bytes
from invoicing.ledger import Document, Ledger
from invoicing.roster_summary import LISTED, Key, Seen, Summaries, Summary, of_files

NAME = "managed_customer_usage"
HEADER = (
    "state",
    "as_of",
    "period",
    "number",
    "partner_id",
    "partner_name",
    "customer_id",
    "customer_name",
    "product_code",
    "product_name",
    "billing_unit",
    "licence_type",
    "owner",
    "licensed_quantity",
    "active_units",
    "billed_units",
    "joined",
    "left_since",
)
# A page stays a file that can be mailed: about 25 bytes for each unit it lists.
_UNITS_OF_PAGE = 6_000
_PRODUCT = ("product_code", "product_name", "billing_unit", "listing_order")
_CUSTOMER = ("customer_id", "customer_name")
_LAST = 1_000_000
_DIGITS = string.digits + string.ascii_lowercase + string.ascii_uppercase + "-_"
_FORMAT_1 = (
    "This invoice was issued before names, owners and bought quantities of term and trial "
    "customers were kept in it: they are shown by their ids, where they were active."
)
# What a reason says of the licence; every other reason blocks a monthly one (R15, R16).
_LICENCE_TYPES = {
    "term": "term",
    "trial": "trial",
    "unlicensed": "none",
    "unknown_product": "none",
    "ha_member": "none",
    "not_sfos": "none",
}
# Another distributor's customer in this period (R14): nobody else's is on a page.
_ELSEWHERE = "other_partner_of_record"


@dataclass(frozen=True)
class ProductUse:
    """One customer's use of one product, as the mart managed_customer_usage says it.

    `joined` and `left_since` are None when nothing is known of the window before. `month_to_date`
    is a figure of the running month only.
    """

    partner_id: str
    partner_name: str
    customer_id: str
    customer_name: str
    product_code: str
    licence_type: str
    owner: str | None
    licensed_quantity: int | None
    active_units: int
    billed_units: int
    joined: int | None
    left_since: int | None
    not_billed: Mapping[str, int]
    roster: Summary
    month_to_date: int | None = None


@dataclass(frozen=True)
class Product:
    product_code: str
    product_name: str
    billing_unit: str
    listing_order: int


@dataclass(frozen=True)
class Usage:
    """What a page shows. `state` is final or provisional; dates are ISO text.

    `lines` are the document's, of which a page shows quantity, price band and units to the next.
    """

    state: str
    as_of: str
    period: str
    number: str | None
    window_starts_on: str
    window_ends_on: str
    currency: str
    owner_kind: str
    owner_id: str
    owner_name: str
    rest: str
    products: tuple[Product, ...]
    uses: tuple[ProductUse, ...]
    lines: tuple[JsonObject, ...]
    note: str | None = None


def managed_customer_usage(ledger: Ledger, document: Document) -> list[ExportedFile]:
    """The page and the table of a distributor's invoice, then those of each of its partners."""
    whole = of_document(ledger, document)
    found = _files("", whole)
    for one in by_partner(whole):
        found += _files(f"partners/{one.owner_id}/", one)
    return found


def _files(place: str, usage: Usage) -> list[ExportedFile]:
    totals: dict[str, str | int] = {
        "active_units": sum(use.active_units for use in usage.uses),
        "billed_units": sum(use.billed_units for use in usage.uses),
    }
    rows = len(usage.uses)
    return [
        ExportedFile(f"{place}{NAME}.html", page(usage), rows, totals),
        ExportedFile(f"{place}{NAME}.csv", table(usage), rows, totals),
    ]


def of_document(ledger: Ledger, document: Document) -> Usage:
    """An issued invoice or nil document with its roster, beside the roster of the month before."""
    content = document.content
    earlier = before(ledger, document)
    rosters = of_files(ledger.roster(document), ledger.roster(earlier) if earlier else None)
    managed = _managed(content)
    groups = (*content["lines"], *content["unused"])
    return Usage(
        state="final",
        as_of=content["dates"]["cutoff_on"],
        period=document.period,
        number=document.number,
        window_starts_on=content["dates"]["window_starts_on"],
        window_ends_on=content["dates"]["cutoff_on"],
        currency=document.currency,
        owner_kind="distributor",
        owner_id=document.distributor_id,
        owner_name=content["distributor"]["distributor_name"],
        rest="in roster.parquet beside this page",
        products=products_of(managed),
        uses=tuple(uses_of(managed, groups, content["not_billed"], rosters)),
        lines=tuple(content["lines"]),
        note=None if "managed_customers" in content else _FORMAT_1,
    )


def by_partner(whole: Usage) -> Iterator[Usage]:
    """Each partner's own part of it, in order of partner id; nothing of any other partner."""
    uses: dict[str, list[ProductUse]] = defaultdict(list)
    for use in whole.uses:
        uses[use.partner_id].append(use)
    for partner_id, own in sorted(uses.items()):
        used = {use.product_code for use in own}
        yield replace(
            whole,
            owner_kind="partner",
            owner_id=partner_id,
            owner_name=own[0].partner_name,
            rest=whole.rest.replace("beside this page", "at your distributor"),
            products=tuple(one for one in whole.products if one.product_code in used),
            uses=tuple(own),
            lines=tuple(line for line in whole.lines if line["partner_id"] == partner_id),
        )


def before(ledger: Ledger, document: Document) -> Document | None:
    """What was last said of the month before when this invoice was issued."""
    return last_said_of_the_month_before(
        takewhile(
            lambda one: one.sequence < document.sequence, ledger.documents(document.distributor_id)
        ),
        document.period,
        document.currency,
    )


def last_said_of_the_month_before(
    documents: Iterable[Document], period: str, currency: str
) -> Document | None:
    """The last of a distributor's documents on it: its invoice, or a note with the roster as known
    by then (R25). None also when the invoice was taken back and not issued again.
    """
    starts_on = date.fromisoformat(f"{period}-01")
    month_before = f"{starts_on - timedelta(days=1):%Y-%m}"
    found: Document | None = None
    for one in documents:
        if (one.billed_period, one.currency) == (month_before, currency):
            found = None if one.cancels else one
    return found


def products_of(managed: Sequence[JsonObject]) -> tuple[Product, ...]:
    """Those that are used or licensed, in their listing order; one nobody registered comes last."""
    found = {
        row["product_code"]: Product(
            row["product_code"],
            row["product_name"] or row["product_code"],
            row["billing_unit"] or "",
            _LAST if row["listing_order"] is None else row["listing_order"],
        )
        for row in managed
    }
    return tuple(sorted(found.values(), key=lambda one: (one.listing_order, one.product_code)))


def uses_of(
    managed: Sequence[JsonObject],
    groups: Sequence[JsonObject],
    not_billed: Sequence[JsonObject],
    rosters: Summaries,
    to_date: Mapping[Key, int] | None = None,
) -> Iterator[ProductUse]:
    """By partner, customer and product listing.

    Who joined and left is the invoice's figure where it has one, and the rosters' where it bills
    nothing; the lists behind it are always the rosters'. `to_date` has the figures of the running
    month.
    """
    order = {one.product_code: at for at, one in enumerate(products_of(managed))}
    reasons: dict[Key, dict[str, int]] = defaultdict(dict)
    for row in not_billed:
        if row["reason"] != _ELSEWHERE:
            reasons[row["customer_id"], row["product_code"]][row["reason"]] = row["units"]
    changes = {
        (customer["customer_id"], group["product_code"]): (
            customer["joined"],
            customer["left_since"],
        )
        for group in groups
        for customer in group["customers"]
    }
    for row in sorted(
        managed,
        key=lambda row: (row["partner_id"], row["customer_id"], order[row["product_code"]]),
    ):
        key = (row["customer_id"], row["product_code"])
        roster = rosters.of(*key)
        joined, left_since = changes.get(key, (roster.joined, roster.left))
        yield ProductUse(
            partner_id=row["partner_id"],
            partner_name=row["partner_name"] or row["partner_id"],
            customer_id=row["customer_id"],
            customer_name=row["customer_name"] or row["customer_id"],
            product_code=row["product_code"],
            licence_type=row["licence_type"],
            owner=row["owner"],
            licensed_quantity=row["licensed_quantity"],
            active_units=row["active_units"],
            billed_units=row["billed_units"],
            joined=joined,
            left_since=left_since,
            not_billed=reasons.get(key, {}),
            roster=roster,
            month_to_date=None if to_date is None else to_date.get(key, 0),
        )


def _managed(content: JsonObject) -> list[JsonObject]:
    """The managed customers of a document; of format 1, what it has of them.

    Those documents hold monthly customers only, and the ids of what was active and not billed:
    names, owners and bought quantities of term and trial customers are not in them.
    """
    if "managed_customers" in content:
        managed: list[JsonObject] = content["managed_customers"]
        return managed
    groups = (*content["lines"], *content["unused"])
    rows = {
        (customer["customer_id"], group["product_code"]): {
            **{name: group[name] for name in (*PARTNER, *_PRODUCT)},
            **{name: customer[name] for name in (*_CUSTOMER, "licence_type", "owner")},
            "licensed_quantity": None,
            "active_units": customer["quantity"],
            "billed_units": customer["quantity"],
        }
        for group in groups
        for customer in group["customers"]
    }
    partners = {group["partner_id"]: group["partner_name"] for group in groups}
    products = {group["product_code"]: {name: group[name] for name in _PRODUCT} for group in groups}
    names = {row["customer_id"]: row["customer_name"] for row in rows.values()}
    for row in content["not_billed"]:
        if row["reason"] == _ELSEWHERE:
            continue
        customer_id, product_code, partner_id = (
            row[name] for name in ("customer_id", "product_code", "partner_id")
        )
        known = rows.setdefault(
            (customer_id, product_code),
            {
                "partner_id": partner_id,
                "partner_name": partners.get(partner_id),
                **products.get(product_code, dict.fromkeys(_PRODUCT)),
                "product_code": product_code,
                "customer_id": customer_id,
                "customer_name": names.get(customer_id),
                "licence_type": "none",
                "owner": None,
                "licensed_quantity": None,
                "active_units": 0,
                "billed_units": 0,
            },
        )
        known["active_units"] += row["units"]
        if known["licence_type"] == "none":
            known["licence_type"] = _LICENCE_TYPES.get(row["reason"], "monthly")
    return list(rows.values())


def table(usage: Usage) -> bytes:
    """The CSV file: a row per customer and product, in the order of `uses`."""
    products = {one.product_code: one for one in usage.products}
    return csv_bytes(HEADER, (_row(usage, use, products[use.product_code]) for use in usage.uses))


def _row(usage: Usage, use: ProductUse, product: Product) -> tuple[Cell, ...]:
    return (
        usage.state,
        usage.as_of,
        usage.period,
        usage.number,
        use.partner_id,
        use.partner_name,
        use.customer_id,
        use.customer_name,
        use.product_code,
        product.product_name,
        product.billing_unit,
        use.licence_type,
        use.owner,
        use.licensed_quantity,
        use.active_units,
        use.billed_units,
        use.joined,
        use.left_since,
    )


def page(usage: Usage) -> bytes:
    """One HTML file that needs nothing beside it and asks for nothing: it may only run its own
    script and style, which its policy names by their hashes.

    The data are JSON in it; a name is set as text by the script, so it stays one.
    """
    style, script = _part("css"), _part("js")
    return (
        _template()
        .render(
            title=shown(f"Managed Customer Usage {usage.period}, {usage.owner_name}"),
            owner=shown(usage.owner_name),
            usage=usage,
            policy="; ".join(
                (
                    "default-src 'none'",
                    f"script-src '{_hash(script)}'",
                    f"style-src '{_hash(style)}'",
                    "base-uri 'none'",
                    "form-action 'none'",
                )
            ),
            # Ours, and what is hashed must not be escaped; the data are by `_in_script`.
            style=Markup(style),
            script=Markup(script),
            data=Markup(_in_script(_data(usage))),
        )
        .encode("utf-8")
    )


def shown(text: str) -> str:
    """Control characters, which HTML forbids, made visible."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", text)


def _part(suffix: str) -> str:
    return _read(f"{NAME}.{suffix}")


@cache
def _read(name: str) -> str:
    return (files("invoicing.exports") / "pages" / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(_part("html"))


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"sha256-{digest}"


def _in_script(value: JsonObject) -> str:
    """JSON that no HTML parser takes for anything but text, and no line end of JavaScript."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _data(usage: Usage) -> JsonObject:
    """The page's data: names once, then a row of values per customer and product."""
    products = {one.product_code: at for at, one in enumerate(usage.products)}
    partners = {use.partner_id: use.partner_name for use in usage.uses}
    customers = {use.customer_id: use for use in usage.uses}
    partner_places = {partner_id: at for at, partner_id in enumerate(partners)}
    customer_places = {customer_id: at for at, customer_id in enumerate(customers)}
    reasons = sorted({reason for use in usage.uses for reason in _reasons(use)})
    types = sorted({use.licence_type for use in usage.uses})
    owners = sorted({use.owner for use in usage.uses}, key=lambda owner: owner or "")
    starts_on = date.fromisoformat(usage.window_starts_on)
    dates = (date.fromisoformat(usage.window_ends_on) - starts_on).days + 1
    most = _listed(usage.uses)
    return {
        "state": usage.state,
        "as_of": usage.as_of,
        "period": usage.period,
        "number": usage.number,
        "starts_on": usage.window_starts_on,
        "dates": dates,
        "currency": usage.currency,
        "is_partner": usage.owner_kind == "partner",
        "rest": usage.rest,
        "header": HEADER,
        "digits": _DIGITS,
        "types": types,
        "owners": owners,
        "reasons": reasons,
        "products": [[p.product_code, p.product_name, p.billing_unit] for p in usage.products],
        "partners": [[partner_id, name] for partner_id, name in partners.items()],
        "customers": [
            [customer_id, use.customer_name, partner_places[use.partner_id]]
            for customer_id, use in customers.items()
        ],
        "uses": [
            [
                customer_places[use.customer_id],
                products[use.product_code],
                types.index(use.licence_type),
                owners.index(use.owner),
                use.licensed_quantity,
                use.active_units,
                use.billed_units,
                use.joined,
                use.left_since,
                use.month_to_date,
                [
                    x
                    for reason, n in sorted(use.not_billed.items())
                    for x in (reasons.index(reason), n)
                ],
                *_roster(use.roster, starts_on, dates, most, reasons),
            ]
            for use in usage.uses
        ],
        "lines": [
            [
                partner_places[line["partner_id"]],
                products[line["product_code"]],
                line["quantity"],
                line["pricing_model"],
                line["unit_price"],
                line["band_min"],
                line["band_max"],
                line["units_to_next_band"],
                line["amount"],
            ]
            for line in usage.lines
        ],
    }


def _reasons(use: ProductUse) -> set[str]:
    return {*use.not_billed, *(one.reason for one in use.roster.seen if one.reason)}


def _listed(uses: Sequence[ProductUse]) -> int:
    """How many units a page of this size lists behind each figure: the most that fit, up to 200."""
    sizes = [
        len(listed)
        for use in uses
        for listed in (use.roster.seen, use.roster.joiners, use.roster.leavers)
    ]
    low, high = 0, LISTED
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(size, middle) for size in sizes) <= _UNITS_OF_PAGE:
            low = middle
        else:
            high = middle - 1
    return low


def _roster(
    roster: Summary, starts_on: date, dates: int, most: int, reasons: list[str]
) -> list[Any]:
    """Units per date; units with their last date as its place in the window; who came and went."""
    if not (roster.daily or roster.leavers):
        return []
    daily = [roster.daily.get(starts_on + timedelta(days=at), 0) for at in range(dates)]
    seen = [x for one in roster.seen[:most] for x in _unit(one, starts_on, reasons)]
    return [digits(daily), seen, list(roster.joiners[:most]), list(roster.leavers[:most])]


def _unit(one: Seen, starts_on: date, reasons: list[str]) -> tuple[str, int, int]:
    why_not = -1 if one.reason is None else reasons.index(one.reason)
    return one.unit_id, (one.last_active_on - starts_on).days, why_not


def digits(values: Sequence[int]) -> str:
    """Numbers of one width in base 64, one after the other: a third of the size of a list."""
    width = max(len(_base64(value)) for value in values)
    return "".join(_base64(value).rjust(width, _DIGITS[0]) for value in values)


def _base64(value: int) -> str:
    text = ""
    while value or not text:
        value, rest = divmod(value, len(_DIGITS))
        text = _DIGITS[rest] + text
    return text
