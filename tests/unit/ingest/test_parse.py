"""What of a file is accepted, quarantined or refused. Expected rows are written out by hand."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from landing_site import DAY, USAGE_HEADER, in_format, usage
from polars.testing import assert_frame_equal

from ingest.contracts import FEEDS, LARGEST_FILE_BYTES
from ingest.landing import Format
from ingest.parse import Parsed, parse
from ingest.reasons import Rejected
from ingest.rows import decompress

CUSTOMERS_HEADER = "snapshot_date,customer_id,customer_name,partner_id,status"
LICENCES_HEADER = ",".join(FEEDS["licences"].column_names)
PSA_HEADER = ",".join(FEEDS["psa_additions"].column_names)

EIGHT = datetime.fromisoformat("2026-01-15T08:00:00")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(
    folder: Path,
    content: bytes,
    feed: str = "usage",
    *,
    format: Format = Format.CSV,
    skew: int = 10,
    manifest: dict[str, Any] | bytes | None = None,
) -> Parsed:
    path = folder / "file"
    path.write_bytes(content)
    text = json.dumps(manifest).encode() if isinstance(manifest, dict) else manifest
    return parse(path, format, FEEDS[feed], DAY, skew, text)


def refusal(folder: Path, content: bytes, feed: str = "usage", **how: Any) -> tuple[str, str]:
    with pytest.raises(Rejected) as caught:
        read(folder, content, feed, **how)
    return caught.value.reason.value, caught.value.detail


def faults(parsed: Parsed) -> list[tuple[Any, ...]]:
    return parsed.quarantined.select("row_number", "line_number", "column_name", "reason").rows()


def customers(*rows: str) -> bytes:
    return "".join(f"{line}\n" for line in (CUSTOMERS_HEADER, *rows)).encode()


# ── Good rows ─────────────────────────────────────────────────────────────────────────────────


def test_rows_are_typed_and_blanks_are_null(folder: Path) -> None:
    parsed = read(folder, usage("c1 EPSTD d1 u1 08:00:00", "c1 EPSTD d2  09:30:00.25"))
    assert parsed.accepted.rows() == [
        (DAY, "c1", "EPSTD", "d1", "u1", EIGHT, 1),
        (DAY, "c1", "EPSTD", "d2", None, datetime.fromisoformat("2026-01-15T09:30:00.250000"), 2),
    ]
    assert (parsed.rows_in_file, parsed.duplicates, parsed.quarantined.height) == (2, 0, 0)
    assert not parsed.verified
    assert parsed.warnings == ()


def test_usage_is_ordered_by_activity_date_and_keeps_its_row_numbers(folder: Path) -> None:
    lines = [
        f"{DAY},c1,EPSTD,d{n},u1,{day}T00:00:00Z"
        for n, day in enumerate(["2026-01-15", "2025-12-31", "2026-01-02", "2025-12-31"], 1)
    ]
    parsed = read(folder, "\n".join([USAGE_HEADER, *lines, ""]).encode())
    # Dates in order: 31 December (rows 2 and 4), 2 January (row 3), 15 January (row 1).
    assert parsed.accepted["row_number"].to_list() == [2, 4, 3, 1]


def test_a_header_alone_is_a_file_without_rows(folder: Path) -> None:
    parsed = read(folder, usage())
    assert (parsed.rows_in_file, parsed.accepted.height) == (0, 0)


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize(
    ("feed", "rows"),
    [
        (
            "usage",
            ["2026-01-15,c1,P,d1,,2026-01-15T23:59:59Z", "2026-01-15,c,P,d,u,1970-01-01T00:00:00Z"],
        ),
        ("customers", ["2026-01-15,c2,Zoë,p1,active", "2026-01-15,c1,A,p1,closed"]),
        (
            "licences",
            [
                "2026-01-15,l1,c1,P,monthly,partner,,,2026-01-01,",
                "2026-01-15,l2,c1,P,term,customer,7,s1,2026-01-01,2026-12-31",
            ],
        ),
        (
            "psa_additions",
            ["2026-01-15,connectwise,1,2,3,P,4,1.50", "2026-01-15,connectwise,1,2,4,P,4,0.000001"],
        ),
        ("portal_usage", ["2026-01-15,c1,P,999999999", "2026-01-15,c1,P,999999999"]),
        ("transfers", []),
    ],
)
def test_every_format_gives_the_same_frames(
    folder: Path, format: Format, feed: str, rows: list[str]
) -> None:
    csv = "".join(f"{line}\n" for line in [",".join(FEEDS[feed].column_names), *rows]).encode()
    expected = read(folder, csv, feed)
    path = folder / "other"
    in_format(csv, format, feed, path)
    found = parse(path, format, FEEDS[feed], DAY, 10)
    assert_frame_equal(found.accepted, expected.accepted)
    assert found.duplicates == expected.duplicates == len(rows) - len(set(rows))
    assert found.rows_in_file == len(rows)


def test_quotes_commas_and_line_breaks_inside_fields(folder: Path) -> None:
    content = customers(
        '2026-01-15,c1,"Kraft, Söhne ""und"" Co",p1,active',
        '"2026-01-15","c2","two\nlines, and\n\nmore","p1","active"',
        "2026-01-15,c3,plain,p1,active",
        "2026-01-15,c4,short,p1",
        '2026-01-15,c5,"",p1,active',
    )
    parsed = read(folder, content, "customers")
    assert parsed.accepted.select("customer_id", "customer_name", "row_number").rows() == [
        ("c1", 'Kraft, Söhne "und" Co', 1),
        ("c2", "two\nlines, and\n\nmore", 2),
        ("c3", "plain", 3),
    ]
    # Line 1 is the header, c1 is line 2, c2 takes lines 3 to 6, c3 is line 7.
    assert faults(parsed) == [
        (4, 8, None, "wrong_field_count"),
        (5, 9, "customer_name", "missing_value"),
    ]


def test_crlf_and_byte_order_mark_are_accepted_and_said(folder: Path) -> None:
    content = customers('2026-01-15,c1,"a\nb",p1,active', "2026-01-15,c2,B,p1,active")
    windows = b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")
    parsed = read(folder, windows, "customers")
    # A line break inside quotes belongs to the value: it stays what the sender wrote.
    assert parsed.accepted["customer_name"].to_list() == ["a\r\nb", "B"]
    assert [warning.split(":")[0] for warning in parsed.warnings] == ["byte_order_mark", "crlf"]


def test_blank_lines_at_the_end_are_nothing_and_elsewhere_broken_rows(folder: Path) -> None:
    content = usage("c1 P d1 u1 08:00:00")
    assert read(folder, content + b"\n\n").rows_in_file == 1
    between = content + b"\n" + usage("c1 P d2 u1 08:00:00").split(b"\n", 1)[1]
    parsed = read(folder, between)
    assert (parsed.rows_in_file, parsed.accepted.height) == (3, 2)
    assert faults(parsed) == [(2, 3, None, "wrong_field_count")]


def test_an_added_column_warns_wherever_it_stands(folder: Path) -> None:
    plain = usage("c1 P d1 u1 08:00:00").decode().splitlines()
    header, row = (line.split(",", 1) for line in plain)
    added = [f"{header[0]},colour,{header[1]}", f"{row[0]},red,{row[1]}"]
    parsed = read(folder, "\n".join([*added, ""]).encode())
    assert_frame_equal(parsed.accepted, read(folder, usage("c1 P d1 u1 08:00:00")).accepted)
    assert parsed.warnings == ("added_column: 'colour'; kept in the archived file only",)


def test_ids_that_look_like_email_warn_without_repeating_them(folder: Path) -> None:
    parsed = read(folder, usage("c1 P d1 ann@example.com 08:00:00", "c1 P d2 u@1 08:00:00"))
    assert parsed.accepted.height == 2
    (warning,) = parsed.warnings
    assert warning.startswith("looks_like_email: user_id looks like an e-mail address in 1 rows")
    assert "ann@" not in warning


# ── Quarantined rows ──────────────────────────────────────────────────────────────────────────


GOOD_ROWS = {
    "usage": "2026-01-15,ok,P,ok,,2026-01-15T08:00:00Z",
    "portal_usage": "2026-01-15,ok,P,0",
    "psa_additions": "2026-01-15,cw,1,2,ok,P,1,12",
    "licences": "2026-01-15,ok,c,P,monthly,partner,,,2026-01-01,",
    "customers": "2026-01-15,ok,N,p,active",
}


def assert_only_the_first_is_quarantined(
    folder: Path, feed: str, row: str, column: str | None, reason: str
) -> None:
    header = ",".join(FEEDS[feed].column_names)
    parsed = read(folder, "\n".join([header, row, GOOD_ROWS[feed], ""]).encode(), feed)
    assert parsed.quarantined.rows() == [(1, 2, column, reason, row)]
    assert parsed.accepted["row_number"].to_list() == [2]


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-15T08:00:00",
        "2026-01-15 08:00:00Z",
        "2026-01-15T08:00Z",
        "2026-01-15T24:00:00Z",
        "2026-01-15T08:00:60Z",
        "2026-01-15T08:00:00+01:00",
        "2026-01-15T08:00:00.Z",
        "2026-01-15T08:00:00z",
        "2026-1-15T08:00:00Z",
        "2025-02-29T08:00:00Z",
        "0000-01-01T08:00:00Z",
        "٢026-01-15T08:00:00Z",
        "1768464000",
    ],
)
def test_only_exact_utc_times_are_times(folder: Path, text: str) -> None:
    row = f"2026-01-15,c,P,d,u,{text}"
    how = ("last_active_at", "invalid_timestamp")
    assert_only_the_first_is_quarantined(folder, "usage", row, *how)


@pytest.mark.parametrize("text", ["2021-04-31", "0000-01-01", "2026-1-1", "20260101", "1.1.2026"])
def test_only_real_dates_are_dates(folder: Path, text: str) -> None:
    row = f"2026-01-15,l,c,P,monthly,partner,,,{text},"
    assert_only_the_first_is_quarantined(folder, "licences", row, "starts_on", "invalid_date")


@pytest.mark.parametrize("text", ["3.7", "4.0", "-1", "+1", " 1", "1e3", "1000000000", "٣"])
def test_only_digits_are_integers(folder: Path, text: str) -> None:
    row = f"2026-01-15,c,P,{text}"
    assert_only_the_first_is_quarantined(folder, "portal_usage", row, "quantity", "invalid_integer")


@pytest.mark.parametrize("text", ["1.2345678", "-0.01", ".5", "1.", "1234567890123", "NaN", "1e2"])
def test_only_plain_decimals_are_decimals(folder: Path, text: str) -> None:
    row = f"2026-01-15,cw,1,2,3,P,1,{text}"
    how = ("unit_price", "invalid_decimal")
    assert_only_the_first_is_quarantined(folder, "psa_additions", row, *how)


@pytest.mark.parametrize("text", ["../p", "p.", "nul", "COM1.x", "p/q", "-p", "p" * 65, "pä"])
def test_ids_that_become_paths_are_safe_names(folder: Path, text: str) -> None:
    row = f"2026-01-15,c,N,{text},active"
    how = ("partner_id", "invalid_identifier")
    assert_only_the_first_is_quarantined(folder, "customers", row, *how)


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ("2026-01-15,c,P,d,u,", "last_active_at", "missing_value"),
        ("2026-01-15,,P,d,u,2026-01-15T08:00:00Z", "customer_id", "missing_value"),
        (",c,P,d,u,2026-01-14T08:00:00Z", "snapshot_date", "missing_value"),
        ("2026-01-14,c,P,d,u,2026-01-14T08:00:00Z", "snapshot_date", "wrong_snapshot_date"),
        ("20260115,c,P,d,u,2026-01-14T08:00:00Z", "snapshot_date", "invalid_date"),
        ("2026-01-15,c,P,d,u,2026-01-16T00:10:00.000001Z", "last_active_at", "future_time"),
        ("2026-01-15,c,P,d,2026-01-15T08:00:00Z", None, "wrong_field_count"),
        ("2026-01-15,c,P,d,u,2026-01-15T08:00:00Z,", None, "wrong_field_count"),
        ('2026-01-15,c,P,5" disk,u,2026-01-15T08:00:00Z', None, "malformed_quotes"),
        ('2026-01-15,c,P,"d"x,u,2026-01-15T08:00:00Z', None, "malformed_quotes"),
    ],
)
def test_a_bad_row_is_quarantined_and_its_neighbours_are_not(
    folder: Path, row: str, column: str | None, reason: str
) -> None:
    assert_only_the_first_is_quarantined(folder, "usage", row, column, reason)


def test_closed_columns_take_the_listed_values_only(folder: Path) -> None:
    row = "2026-01-15,l,c,P,Monthly,partner,,,2026-01-01,"
    how = ("licence_type", "value_not_allowed")
    assert_only_the_first_is_quarantined(folder, "licences", row, *how)


def test_the_clock_skew_bounds_a_future_time(folder: Path) -> None:
    # The day ends at midnight; 10 minutes of skew end at 00:10:00 of the next day, included.
    row = f"{DAY},c,P,d,u,2026-01-16T00:10:00Z"
    content = f"{USAGE_HEADER}\n{row}\n".encode()
    assert read(folder, content, skew=10).accepted.height == 1
    assert faults(read(folder, content, skew=9)) == [(1, 2, "last_active_at", "future_time")]


def test_a_huge_field_is_quarantined_and_shown_shortened(folder: Path) -> None:
    name = "x" * 3_000_000
    content = customers(f"2026-01-15,c1,{name},p,active", f"2026-01-15,c2,{'y' * 65_536},p,active")
    parsed = read(folder, content, "customers")
    assert faults(parsed) == [(1, 2, "customer_name", "field_too_long")]
    raw = parsed.quarantined.item(0, "raw_text")
    # 3,000,000 for the name and 14 + 9 for "2026-01-15,c1," and ",p,active".
    assert raw.endswith("… (3000023 bytes)")
    assert len(raw) < 4_200
    assert parsed.accepted["customer_id"].to_list() == ["c2"]


def test_repeats_count_once_and_contradictions_not_at_all(folder: Path) -> None:
    content = usage(
        "c1 P d1 u1 08:00:00",  # 1: kept
        "c1 P d2 u1 08:00:00",  # 2: contradicts 4
        "c1 P d1 u1 08:00:00",  # 3: repeats 1
        "c1 P d2 u1 09:00:00",  # 4: contradicts 2
        "c1 P d2 u1 08:00:00",  # 5: repeats 2, which is in quarantine
        "c1 P d3  08:00:00",  # 6: kept
        "c1 P d3  08:00:00.000",  # 7: repeats 6: the same time written otherwise
    )
    parsed = read(folder, content)
    assert parsed.accepted["row_number"].to_list() == [1, 6]
    assert faults(parsed) == [(n, n + 1, None, "duplicate_key") for n in (2, 4, 5)]
    assert (parsed.rows_in_file, parsed.duplicates) == (7, 2)


def test_parquet_rows_meet_the_same_reasons(folder: Path) -> None:
    frame = pl.DataFrame(
        {
            "snapshot_date": [DAY] * 5,
            "customer_id": ["c1", "c2", "", "c4", "c5"],
            "product_code": ["P"] * 5,
            "quantity": [1, -1, 2, 1_000_000_000, None],
        }
    )
    frame.write_parquet(folder / "file")
    parsed = parse(folder / "file", Format.PARQUET, FEEDS["portal_usage"], DAY, 10)
    assert faults(parsed) == [
        (2, 2, "quantity", "invalid_integer"),
        (3, 3, "customer_id", "missing_value"),
        (4, 4, "quantity", "invalid_integer"),
        (5, 5, "quantity", "missing_value"),
    ]
    assert parsed.quarantined["raw_text"].to_list()[0] == "2026-01-15,c2,P,-1"


# ── Refused files ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (b"", "empty_file", "header"),
        (b"\n\n", "empty_file", "header"),
        ("snapshot_date\n".encode("utf-16"), "wrong_encoding", "UTF-16"),
        ("snapshot_date\n".encode("utf-16-le"), "nul_byte", "line 1, byte 1"),
        # The header and its line break are 71 bytes; the é is the 13th byte after them.
        (usage() + "2026-01-15,cé".encode("latin-1") + b"\n", "wrong_encoding", "line 2, byte 84"),
        (usage("c1 P d u 08:00:00") + b"a\0b\n", "nul_byte", "line 3"),
        (usage().replace(b"device_id", b"device"), "wrong_header", "found instead: 'device'"),
        (usage().replace(b",device_id", b""), "wrong_header", "missing: 'device_id'"),
        (usage().replace(b"user_id", b"user_id,user_id"), "wrong_header", "repeated: 'user_id'"),
        (
            usage().replace(b"device_id,user_id", b"user_id,device_id"),
            "wrong_header",
            "out of order",
        ),
        (usage().replace(b"snapshot_date", b" snapshot_date"), "wrong_header", "missing"),
        (usage("c1 P d u 08:00:00")[:-1], "no_final_line_break", "line 2"),
        (usage("c1 P d u 08:00:00")[:-5], "no_final_line_break", "line 2"),
        (usage() + b'2026-01-15,c1,P,"d,u,x\n2026-01-15,c1,P,d,u,x\n', "unclosed_quote", "line 2"),
        (usage() + b'2026-01-15,c1,P,"d\n",P,"x"y,u\n', "unclosed_quote", "line 2"),
        (usage("c1 P d u 08:00:00", day=date(2026, 1, 14)), "wrong_date_folder", "2026-01-14"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_whole(
    folder: Path, content: bytes, reason: str, words: str
) -> None:
    found, detail = refusal(folder, content)
    assert found == reason
    assert words in detail


def test_one_row_of_the_right_date_keeps_the_file(folder: Path) -> None:
    other = usage("c1 P d1 u 08:00:00", day=date(2026, 1, 14))
    content = other + usage("c1 P d2 u 08:00:00").split(b"\n", 1)[1]
    assert faults(read(folder, content)) == [(1, 2, "snapshot_date", "wrong_snapshot_date")]


def test_a_damaged_gzip_is_refused(folder: Path) -> None:
    whole = gzip.compress(usage(*(f"c{n} P d{n} u 08:00:00" for n in range(200))), mtime=0)
    assert read(folder, whole, format=Format.CSV_GZ).accepted.height == 200
    assert refusal(folder, whole[:-3], format=Format.CSV_GZ)[0] == "corrupt_file"
    assert refusal(folder, b"snapshot_date", format=Format.CSV_GZ)[0] == "corrupt_file"
    # Bytes 4 to 9 of the header are time and system, which nothing depends on.
    for at in range(10, len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1
        assert refusal(folder, bytes(flipped), format=Format.CSV_GZ)[0] == "corrupt_file"


def test_a_gzip_longer_than_any_memory_is_refused_by_its_beginning(folder: Path) -> None:
    path = folder / "file"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of holes takes no disk
    with pytest.raises(Rejected, match="Not a gzipped file"):
        decompress(path, LARGEST_FILE_BYTES)


def test_a_damaged_parquet_is_refused_or_read_but_never_a_crash(folder: Path) -> None:
    content = usage(*(f"c{n} P d{n} u 08:00:00" for n in range(50)))
    in_format(content, Format.PARQUET, "usage", folder / "good")
    whole = (folder / "good").read_bytes()
    vouched: dict[str, Any] = {"rows": 50, "sha256": hashlib.sha256(whole).hexdigest()}
    assert refusal(folder, whole[:-4], format=Format.PARQUET)[0] == "corrupt_file"
    assert refusal(folder, b"PAR1", format=Format.PARQUET)[0] == "corrupt_file"
    for at in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        with suppress(Rejected):
            read(folder, bytes(flipped), format=Format.PARQUET)
        # Parquet cannot tell every flip; the manifest can.
        reason, detail = refusal(folder, bytes(flipped), format=Format.PARQUET, manifest=vouched)
        assert reason == "manifest_mismatch"
        assert vouched["sha256"] in detail


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pl.Series("quantity", [1.0]), "wrong_type"),
        (pl.Series("quantity", ["1"]), "wrong_type"),
        (pl.Series("quantity", [None]), "wrong_type"),
        (pl.Series("customer_id", [1]), "wrong_type"),
        (pl.Series("snapshot_date", ["2026-01-15"]), "wrong_type"),
        (pl.Series("amount", [1]), "wrong_header"),
    ],
)
def test_a_parquet_schema_must_match(folder: Path, column: pl.Series, reason: str) -> None:
    frame = pl.DataFrame(
        {"snapshot_date": [DAY], "customer_id": ["c"], "product_code": ["P"], "quantity": [1]}
    )
    if column.name in frame.columns:
        frame = frame.with_columns(column)
    else:
        frame = frame.rename({"quantity": column.name})
    frame.write_parquet(folder / "file")
    with pytest.raises(Rejected) as caught:
        parse(folder / "file", Format.PARQUET, FEEDS["portal_usage"], DAY, 10)
    assert caught.value.reason == reason


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_parquet_times_of_any_unit_and_dictionaries_are_read(
    folder: Path, unit: Any, zone: str | None
) -> None:
    frame = pl.DataFrame(
        {
            "snapshot_date": [DAY],
            "customer_id": ["c"],
            "product_code": pl.Series(["P"], dtype=pl.Categorical),
            "device_id": ["d"],
            "user_id": [None],
            "last_active_at": pl.Series([EIGHT], dtype=pl.Datetime(unit, zone)),
        }
    )
    frame.write_parquet(folder / "file")
    parsed = parse(folder / "file", Format.PARQUET, FEEDS["usage"], DAY, 10)
    assert parsed.accepted.rows() == [(DAY, "c", "P", "d", None, EIGHT, 1)]


def test_parquet_local_times_are_refused(folder: Path) -> None:
    when = pl.Series([EIGHT], dtype=pl.Datetime("us", "Europe/Berlin"))
    texts = {name: ["x"] for name in ("customer_id", "product_code", "device_id", "user_id")}
    frame = pl.DataFrame({"snapshot_date": [DAY], **texts, "last_active_at": when})
    frame.write_parquet(folder / "file")
    with pytest.raises(Rejected, match="wrong_type"):
        parse(folder / "file", Format.PARQUET, FEEDS["usage"], DAY, 10)


# ── Manifests ─────────────────────────────────────────────────────────────────────────────────

PSA = f"""{PSA_HEADER}
2026-01-15,connectwise,1,2,3,P,2,10.10
2026-01-15,connectwise,1,2,4,P,3,0.000001
""".encode()
PSA_SHA256 = hashlib.sha256(PSA).hexdigest()


def test_a_manifest_that_agrees_verifies(folder: Path) -> None:
    # 2 + 3 = 5 and 10.10 + 0.000001 = 10.100001, exactly.
    totals = {"quantity": "5", "unit_price": "10.100001"}
    manifest = {"rows": 2, "sha256": PSA_SHA256, "totals": totals}
    parsed = read(folder, PSA, "psa_additions", manifest=manifest)
    assert parsed.verified
    assert parsed.accepted["unit_price"].to_list() == [Decimal("10.10"), Decimal("0.000001")]


def test_a_manifest_without_rows_or_bytes_verifies_nothing(folder: Path) -> None:
    parsed = read(folder, PSA, "psa_additions", manifest={"rows": 2})
    assert not parsed.verified
    assert parsed.warnings[0].startswith("incomplete_manifest")


def test_a_manifest_vouches_for_a_last_line_that_is_not_ended(folder: Path) -> None:
    content = usage("c1 P d u 08:00:00")[:-1]
    assert read(folder, content, manifest={"rows": 1}).accepted.height == 1
    assert refusal(folder, content, manifest={"rows": 2})[0] == "manifest_mismatch"
    assert refusal(folder, content, manifest={})[0] == "no_final_line_break"


@pytest.mark.parametrize(
    ("manifest", "reason", "words"),
    [
        ({"rows": 3}, "manifest_mismatch", "says 3 rows, the file has 2"),
        ({"sha256": "0" * 64}, "manifest_mismatch", PSA_SHA256),
        ({"totals": {"quantity": "6"}}, "manifest_mismatch", "quantity adds up to 6"),
        ({"totals": {"unit_price": "10.10"}}, "manifest_mismatch", "10.100001"),
        ({"totals": {"psa": "1"}}, "manifest_invalid", "'psa'"),
        ({"totals": {"quantity": "many"}}, "manifest_invalid", "'many'"),
        ({"totals": {"quantity": True}}, "manifest_invalid", "True"),
        ({"totals": []}, "manifest_invalid", "totals"),
        ({"rows": "2"}, "manifest_invalid", "'2'"),
        ({"rows": True}, "manifest_invalid", "True"),
        ({"sha256": 1}, "manifest_invalid", "1"),
        (b"[]", "manifest_invalid", "object"),
        (b"{", "manifest_invalid", "JSON"),
        (b"\xff", "manifest_invalid", "JSON"),
    ],
)
def test_a_manifest_that_contradicts_refuses_the_file(
    folder: Path, manifest: dict[str, Any] | bytes, reason: str, words: str
) -> None:
    found, detail = refusal(folder, PSA, "psa_additions", manifest=manifest)
    assert found == reason
    assert words in detail


# ── Every text ────────────────────────────────────────────────────────────────────────────────


_TIMES = ["2026-01-15T08:00:00Z", "2026-01-15T08:00:00.25Z", "2026-01-15T24:00:00Z", "2026-02-30"]
_FIELDS = st.sampled_from(
    ["2026-01-15", "C1", "EPADV", "d-1", "d-2", "", " ", "ü", "a@b.cc", *_TIMES]
)
_REGULAR = st.tuples(
    *(st.sampled_from(some) for some in (["2026-01-15", "2026-01-14", ""], ["C1", "C2"])),
    *(st.sampled_from(some) for some in (["EPADV", "WEB", "ü"], ["d-1", "d-2", " "])),
    *(st.sampled_from(some) for some in (["", "u-1", "a@b.cc"], [*_TIMES, ""])),
)


@given(rows=st.lists(st.one_of(_REGULAR, st.lists(_FIELDS, max_size=8)), max_size=6))
@settings(max_examples=300)
def test_a_text_with_quotes_is_read_as_one_without(
    rows: list[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Quotes in the header change nothing, and send the file down the way that reads line by line:
    short, long and blank rows among regular ones get the same verdict as in one go."""
    folder = tmp_path_factory.mktemp("files")
    lines = "".join(",".join(row) + "\n" for row in rows)
    verdicts: list[Any] = []
    for header in (USAGE_HEADER, USAGE_HEADER.replace("user_id", '"user_id"')):
        try:
            verdicts.append(read(folder, f"{header.strip()}\n{lines}".encode()))
        except Rejected as error:
            verdicts.append((error.reason, error.detail))
    one, other = verdicts
    if isinstance(one, tuple):
        assert one == other
    else:
        assert_frame_equal(one.accepted, other.accepted)
        assert_frame_equal(one.quarantined, other.quarantined)
        assert (one.rows_in_file, one.duplicates) == (other.rows_in_file, other.duplicates)
        assert one.warnings == other.warnings


@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6),
            st.sampled_from([0, 0, 0, 1]),
        ),
        max_size=8,
    ),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_quoted_by_the_rules_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]], ending: str
) -> None:
    records = [
        [str(DAY), f"c{n}", f"{name}x", "p", "active", *["extra"] * extra]
        for n, (name, extra) in enumerate(rows)
    ]
    lines = [",".join('"' + text.replace('"', '""') + '"' for text in record) for record in records]
    content = ending.join([CUSTOMERS_HEADER, *lines, ""]).encode()
    parsed = read(tmp_path_factory.mktemp("csv"), content, "customers")
    assert parsed.rows_in_file == len(rows)
    names = parsed.accepted.select("row_number", "customer_name").rows()
    assert names == [(n, f"{name}x") for n, (name, extra) in enumerate(rows, 1) if not extra]
    wrong = [(n, "wrong_field_count") for n, (_, extra) in enumerate(rows, 1) if extra]
    assert parsed.quarantined.select("row_number", "reason").rows() == wrong


@given(
    members=st.lists(st.tuples(st.binary(max_size=60), st.integers(1, 9)), max_size=3),
    flips=st.one_of(
        st.just([]), st.lists(st.tuples(st.integers(0, 500), st.integers(0, 7)), max_size=2)
    ),
    cut=st.sampled_from([0, 0, 0, 0, 1, 8, 9]),
    after=st.sampled_from([b"", b"", b"\0", b"\0" * 600, b"x", b"\0x"]),
    largest=st.one_of(st.none(), st.integers(0, 200)),
)
@example(members=[(b"a" * 60, 9), (b"b" * 60, 9)], flips=[], cut=0, after=b"", largest=119)
@settings(max_examples=500)
def test_a_gzip_is_unpacked_as_the_standard_library_does(
    members: list[tuple[bytes, int]],
    flips: list[tuple[int, int]],
    cut: int,
    after: bytes,
    largest: int | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    packed = bytearray(b"".join(gzip.compress(text, level, mtime=0) for text, level in members))
    for at, bit in flips if packed else []:
        packed[at % len(packed)] ^= 1 << bit
    packed = packed[: max(0, len(packed) - cut)]
    path = tmp_path_factory.mktemp("gzip") / "file"
    path.write_bytes(packed + after)
    expected: bytes | None
    try:
        expected = gzip.decompress(packed + after)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        expected = None
    if expected is not None and largest is not None and len(expected) > largest:
        expected = None
    found: bytes | None
    try:
        found = decompress(path, largest)
    except Rejected:
        found = None
    assert found == expected


@given(content=st.binary(max_size=200))
def test_no_bytes_crash_the_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    for body in (content, usage() + content + b"\n", usage() + content.replace(b"\xff", b'"')):
        for format in Format:
            try:
                parsed = read(folder, body, format=format)
            except Rejected:
                continue
            # Each row is accounted for once.
            numbers = [*parsed.accepted["row_number"], *parsed.quarantined["row_number"]]
            assert len(numbers) == len(set(numbers))
            assert len(numbers) + parsed.duplicates == parsed.rows_in_file
