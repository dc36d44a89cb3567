"""The contract of each reference file in `seeds/`: columns, types, key, ranges, validity.

Only declarations belong here. Reading files against them is `ingest.reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ingest import identifiers
from ingest.contracts import FEEDS, ColumnType


@dataclass(frozen=True)
class SeedColumn:
    """One column: what its text must look like, and what it must point at.

    `minimum` and `maximum` include both ends; `pattern` has its meaning in words beside it;
    `references` names the (seed, column) that must hold the same value; `fault` says what is wrong
    with a text that looks right, and what to do. A seed from before an `is_added` column goes on
    without it: every cell is blank.
    """

    name: str
    type: ColumnType = ColumnType.TEXT
    required: bool = True
    allowed: tuple[str, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    pattern: str = ""
    pattern_in_words: str = ""
    references: tuple[str, str] | None = None
    fault: Callable[[str], identifiers.Fault] | None = None
    is_added: bool = False


@dataclass(frozen=True)
class SeedContract:
    """One seed. Rows that share a key may not be valid on the same day; an empty key means the
    whole file is one series. `settings` gives each known name of the key column the contract of
    its `value`; `required_keys` lists the keys that must be there.
    """

    seed: str
    columns: tuple[SeedColumn, ...]
    key: tuple[str, ...]
    settings: Mapping[str, SeedColumn] = field(default_factory=dict)
    required_keys: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        return f"{self.seed}.csv"

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def is_dated(self) -> bool:
        """True when its rows say from when to when they hold (both days included)."""
        return "valid_from" in self.column_names


def _integer(
    name: str, minimum: int = 0, maximum: int | None = None, *, required: bool = True
) -> SeedColumn:
    top = None if maximum is None else Decimal(maximum)
    return SeedColumn(
        name, ColumnType.INTEGER, required=required, minimum=Decimal(minimum), maximum=top
    )


def _identifier(name: str) -> SeedColumn:
    return SeedColumn(name, ColumnType.IDENTIFIER)


def _country(name: str) -> SeedColumn:
    return SeedColumn(name, fault=identifiers.country_fault)


def _added(name: str) -> SeedColumn:
    return SeedColumn(name, required=False, is_added=True)


def _currency(references: tuple[str, str] | None = ("currencies", "currency")) -> SeedColumn:
    return SeedColumn(
        "currency",
        pattern="[A-Z]{3}",
        pattern_in_words="three capital letters of ISO 4217, as in EUR",
        references=references,
    )


_PRODUCT_CODE = SeedColumn(
    "product_code", ColumnType.IDENTIFIER, references=("products", "product_code")
)
_VALIDITY = (
    SeedColumn("valid_from", ColumnType.DATE),
    SeedColumn("valid_to", ColumnType.DATE, required=False),
)
_PROGRAMMES = next(
    column.allowed for column in FEEDS["partners"].columns if column.name == "programme"
)
_POLICIES = {
    # R2: 60 keeps a window inside three calendar months.
    "active_window_days": _integer("value", 1, 60),
    "device_user_attribution": SeedColumn("value", allowed=("latest", "any")),
    "clock_skew_minutes": _integer("value", 0, 1440),
    "trial_days": _integer("value", 1),
    "correction_periods": _integer("value", 0, 12),
    "recomputed_periods": _integer("value", 0, 36),
    "release": SeedColumn("value", allowed=("automatic", "approved")),
    "issue_days": _integer("value", 0, 90),
    # Without them a seed keeps the older way, the second of each.
    "firewall_evidence": SeedColumn("value", allowed=("sfos", "latest")),
    "replaced_hardware": SeedColumn("value", allowed=("once", "each")),
    # 0 keeps all of them for ever, and so does a seed without it.
    "raw_retention_months": _integer("value", 0, 600),
}
_OPTIONAL_POLICIES = ("firewall_evidence", "replaced_hardware", "raw_retention_months")
_SAFETY_BOUNDS = {
    "largest_quantity": _integer("value", 1),
    "largest_amount": _integer("value", 1),
    "largest_swing_percent": _integer("value", 1),
    "smallest_swing_units": _integer("value", 0),
    "volume_swing_percent": _integer("value", 1),
}

_CONTRACTS = (
    SeedContract(
        seed="currencies",
        # Three decimals is what every money column of the warehouse holds (R19).
        columns=(_currency(references=None), _integer("minor_units", 0, 3)),
        key=("currency",),
    ),
    SeedContract(
        seed="distributors",
        columns=(
            # The ledger keeps the release records, the disputes and the heads under these names.
            SeedColumn(
                "distributor_id",
                ColumnType.IDENTIFIER,
                pattern=r"(?i)(?!(?:releases|disputes\.jsonl|heads\.jsonl)$).+",
                pattern_in_words="free: the ledger has a folder called releases and files called "
                "disputes.jsonl and heads.jsonl",
            ),
            SeedColumn("distributor_name"),
            _country("country"),
            _currency(),
            _integer("cutoff_day", 1, 31, required=False),
            SeedColumn("street"),
            SeedColumn("city"),
            SeedColumn("postal_code"),
            SeedColumn("tax_id"),
            SeedColumn("endpoint_id", fault=identifiers.address_fault),
            _integer("payment_terms_days", 0, 365),
            SeedColumn("purchase_order", required=False),
            *_VALIDITY,
        ),
        key=("distributor_id",),
    ),
    SeedContract(
        seed="seller",
        columns=(
            _identifier("seller_id"),
            SeedColumn("seller_name"),
            _country("country"),
            SeedColumn("street"),
            SeedColumn("city"),
            SeedColumn("postal_code"),
            SeedColumn("tax_id"),
            SeedColumn("endpoint_id", fault=identifiers.address_fault),
            SeedColumn("iban", fault=identifiers.iban_fault),
            _added("contact_name"),
            _added("contact_phone"),
            _added("contact_email"),
            _added("legal_registration"),
            *_VALIDITY,
        ),
        key=(),
    ),
    SeedContract(
        seed="tax_rates",
        columns=(
            _country("seller_country"),
            _country("buyer_country"),
            # EN 16931 tax category codes (UNCL 5305).
            SeedColumn("tax_category", allowed=("S", "Z", "E", "AE", "K", "G", "O")),
            SeedColumn("rate", ColumnType.DECIMAL, maximum=Decimal(100)),
            SeedColumn("reason", required=False),
            *_VALIDITY,
        ),
        key=("seller_country", "buyer_country"),
    ),
    SeedContract(
        seed="products",
        columns=(
            _identifier("product_code"),
            SeedColumn("product_name"),
            SeedColumn("category"),
            SeedColumn("billing_unit", allowed=("user", "device", "firewall")),
            SeedColumn("sku"),
            _integer("listing_order", 1),
            *_VALIDITY,
        ),
        key=("product_code",),
    ),
    SeedContract(
        # A price version is (product, currency, valid_from, valid_to). Two versions on one day
        # are let in: R18 holds the distributors they touch (`price_ambiguous`), nobody else.
        seed="price_bands",
        columns=(
            _PRODUCT_CODE,
            _currency(),
            SeedColumn("pricing_model", allowed=("volume", "graduated")),
            _integer("min_quantity", 1),
            _integer("max_quantity", 1, required=False),
            SeedColumn("unit_price", ColumnType.DECIMAL),
            *_VALIDITY,
        ),
        key=("product_code", "currency", "min_quantity", "valid_from", "valid_to"),
    ),
    SeedContract(
        seed="programmes",
        columns=(
            SeedColumn("programme", allowed=_PROGRAMMES),
            SeedColumn("bills_monthly", allowed=("true", "false")),
            SeedColumn("closed_to_new_on", ColumnType.DATE, required=False),
        ),
        key=("programme",),
        required_keys=_PROGRAMMES,
    ),
    SeedContract(
        seed="expected_sources",
        columns=(SeedColumn("feed", allowed=tuple(FEEDS)), _identifier("source"), *_VALIDITY),
        key=("feed", "source"),
    ),
    SeedContract(
        seed="excluded_territories",
        columns=(_country("country"), SeedColumn("reason"), *_VALIDITY),
        key=("country",),
    ),
    SeedContract(
        seed="policies",
        columns=(
            SeedColumn("policy", allowed=tuple(_POLICIES)),
            SeedColumn("value"),
            SeedColumn("meaning"),
        ),
        key=("policy",),
        settings=_POLICIES,
        required_keys=tuple(one for one in _POLICIES if one not in _OPTIONAL_POLICIES),
    ),
    SeedContract(
        seed="safety_bounds",
        columns=(
            SeedColumn("bound", allowed=tuple(_SAFETY_BOUNDS)),
            SeedColumn("value"),
            SeedColumn("meaning"),
        ),
        key=("bound",),
        settings=_SAFETY_BOUNDS,
        required_keys=tuple(_SAFETY_BOUNDS),
    ),
    SeedContract(
        seed="psa_companies",
        columns=(
            SeedColumn("psa"),
            SeedColumn("company_id"),
            SeedColumn("customer_id"),
            *_VALIDITY,
        ),
        key=("psa", "company_id"),
    ),
    SeedContract(
        seed="psa_products",
        columns=(SeedColumn("psa"), SeedColumn("product_id"), _PRODUCT_CODE, *_VALIDITY),
        key=("psa", "product_id"),
    ),
    SeedContract(
        seed="waivers",
        columns=(
            SeedColumn("discrepancy_id"),
            SeedColumn("decision", allowed=("bill", "exclude")),
            SeedColumn("reason"),
            SeedColumn("decided_by"),
            SeedColumn("decided_on", ColumnType.DATE),
        ),
        key=("discrepancy_id",),
    ),
)

SEEDS: dict[str, SeedContract] = {contract.seed: contract for contract in _CONTRACTS}
