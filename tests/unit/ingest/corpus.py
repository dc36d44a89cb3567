"""Bad and odd landing files, a table row each: what is sent and what must become of it.

Only files and verdicts; `test_corpus` holds the intake to them. The verdicts are the contract's
(docs/intake.md), written down before the intake was asked.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import json
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from landing_site import DAY, in_format

from ingest.contracts import FEEDS
from ingest.landing import Format
from ingest.reasons import Reason

Line = tuple[int, str | None, Reason]  # line of the file (Parquet: row), column, reason


@dataclass(frozen=True)
class Accepted:
    """`rows` accepted, these quarantined; `kept` is the first accepted row's value of a column.

    warnings are the codes of all that is said about the file.
    """

    rows: int
    quarantined: tuple[Line, ...] = ()
    duplicates: int = 0
    kept: tuple[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    is_verified: bool = False


@dataclass(frozen=True)
class Refused:
    """Refused whole; `place` are words of the message that say where or what was found."""

    reason: Reason
    place: str


@dataclass(frozen=True)
class Case:
    """`make` is given an id of five characters that is this case's alone, so that no two files
    are the same bytes. `manifest` is made from the file's bytes."""

    name: str
    feed: str
    format: Format
    make: Callable[[str], bytes]
    verdict: Accepted | Refused
    manifest: Callable[[bytes], bytes] | None = None


GOOD = {
    "usage": "2026-01-15,WHO00,EPADV,d1,u1,2026-01-15T08:00:00Z",
    "heartbeat": "2026-01-15,WHO00,S1,XGS 87,SFOS,20.0,,,,2026-01-15T08:00:00Z",
    "customers": "2026-01-15,WHO00,Alpha,P1,active",
    "partners": "2026-01-15,P1,WHO00,alpenland,AT,connect_flex,2025-01-01,",
    "licences": "2026-01-15,L1,WHO00,EPADV,monthly,partner,,,2026-01-01,",
    "transfers": "2026-01-15,T1,WHO00,P1,P2,2026-01-10,,,",
    "portal_usage": "2026-01-15,WHO00,EPADV,5",
    "psa_additions": "2026-01-15,connectwise,WHO00,2,3,P,5,1.50",
}
# A second good row, with another key.
OTHER = {
    "usage": "2026-01-15,other,EPADV,d9,u9,2026-01-15T09:00:00Z",
    "heartbeat": "2026-01-15,other,S9,XGS 87,SFOS,20.0,,,,2026-01-15T09:00:00Z",
    "customers": "2026-01-15,other,Omega,P9,active",
    "partners": "2026-01-15,P9,other,alpenland,AT,connect_flex,2025-01-01,",
    "licences": "2026-01-15,L9,other,EPADV,monthly,partner,,,2026-01-01,",
    "transfers": "2026-01-15,T9,other,P1,P2,2026-01-10,,,",
    "portal_usage": "2026-01-15,other,EPADV,9",
    "psa_additions": "2026-01-15,connectwise,other,2,9,P,9,9.50",
}
HEADER = {feed: ",".join(contract.column_names) for feed, contract in FEEDS.items()}
U, G, O = HEADER["usage"], GOOD["usage"], OTHER["usage"]  # noqa: E741
CSV, GZ, PARQUET = Format.CSV, Format.CSV_GZ, Format.PARQUET
R = Reason


def _lines(*lines: str, end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


def _csv(
    name: str,
    content: str | bytes,
    verdict: Accepted | Refused,
    feed: str = "usage",
    manifest: Callable[[bytes], bytes] | None = None,
    pack: Callable[[bytes], bytes] = lambda plain: plain,
) -> Case:
    """`pack` comes after the id was put in: a CSV in another encoding, for instance."""
    plain = content if isinstance(content, bytes) else content.encode()
    return Case(
        name, feed, CSV, lambda who: pack(plain.replace(b"WHO00", who.encode())), verdict, manifest
    )


def _gz(name: str, pack: Callable[[bytes], bytes], verdict: Accepted | Refused) -> Case:
    plain = _lines(U, *(G.replace("d1", f"d{n}") for n in range(50)))
    return Case(name, "usage", GZ, lambda who: pack(plain.replace(b"WHO00", who.encode())), verdict)


def _zip(plain: bytes) -> bytes:
    return gzip.compress(plain, mtime=0)


def _cell(
    name: str, feed: str, column: str, text: str, verdict: Reason | Any, format: Format = CSV
) -> Case:
    """A good row but for one field, as CSV text, and a good row after it. The verdict is a reason,
    or the value that is kept."""
    columns = FEEDS[feed].column_names
    fields = GOOD[feed].split(",")
    fields[columns.index(column)] = text
    content = _lines(HEADER[feed], ",".join(fields), OTHER[feed])
    if isinstance(verdict, Reason):
        expected = Accepted(1, ((2, column, verdict),))
    else:
        expected = Accepted(2, kept=(column, verdict))
    pack = _zip if format is GZ else bytes
    return Case(
        name, feed, format, lambda who: pack(content.replace(b"WHO00", who.encode())), expected
    )


def _text(name: str, feed: str, column: str, value: str) -> Case:
    """A text that is odd and nobody's business: kept to the letter."""
    line = io.StringIO()
    csv.writer(line, lineterminator="", quoting=csv.QUOTE_ALL).writerow([value])
    return _cell(name, feed, column, line.getvalue(), value)


def _parquet(
    name: str,
    feed: str,
    verdict: Accepted | Refused,
    change: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
    pack: Callable[[bytes], bytes] = bytes,
) -> Case:
    """Both good rows in the contract's types, after `change`; the file after `pack`."""

    def make(who: str) -> bytes:
        plain = _lines(HEADER[feed], GOOD[feed].replace("WHO00", who), OTHER[feed])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            in_format(plain, PARQUET, feed, path)
            change(pl.read_parquet(path)).write_parquet(path)
            return pack(path.read_bytes())

    return Case(name, feed, PARQUET, make, verdict)


def _first(column: str, value: Any, dtype: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The first row's value replaced, the second's kept where the type can hold it."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        second = frame[column].cast(dtype)[1:]
        first = pl.Series(column, [value], dtype=dtype)
        return frame.with_columns(pl.concat([first, second]).alias(column))

    return change


def _physical(column: str, number: int, dtype: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The first row's value as the bare number that stands for it in the file."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        second = frame[column].cast(dtype)[1:]
        whole = pl.Int32 if dtype == pl.Date else pl.Int64
        first = pl.Series(column, [number], dtype=whole).cast(dtype)
        return frame.with_columns(pl.concat([first, second]).alias(column))

    return change


def _listed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.concat_list("customer_id"))


def _typed(column: str, dtype: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(pl.col(column).cast(dtype))


def _encrypted(plain: bytes) -> bytes:
    """The same rows with an encrypted footer. The key is no secret; the cipher is DuckDB's own."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as conn:
        path, out = Path(folder) / "plain", Path(folder) / "encrypted"
        path.write_bytes(plain)
        conn.execute("SET force_mbedtls_unsafe = 'true'")
        conn.execute("PRAGMA add_parquet_key('key', '0123456789112345')")
        conn.execute(
            f"COPY (FROM read_parquet('{path}')) TO '{out}' "
            "(FORMAT parquet, ENCRYPTION_CONFIG {footer_key: 'key'})"
        )
        return out.read_bytes()


# 150,000,000 equal rows, written by
#   COPY (SELECT DATE '2026-01-15' AS snapshot_date, 'c' AS customer_id, 'P' AS product_code,
#       1::BIGINT AS quantity FROM range(150000000))
#   TO 'bomb' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 150000000)
# which takes too long to do in a test; deflated and in base 64.
_BOMB = (
    "eNq1lM9r2zAUx59c1RWbB+nhiXiY4o1GpKz0x9bedmhHj4GFncdCYnk0bI3b2Cns5tMYpTAY+zt2Wu+lh9HDDvtbRq"
    "8te/KPJE197IT80Pv66fOVJeH27ptN5CjwcQstBIDm2fq1z58AXL0GQEAHl1YxTVNNVTbaRYG9CcCMOin59flZRQmp"
    "QPID9Kb58yv0jpLgfxu0782ghk+nDcRubmDaPXnseB5A+QCHwmDHBD/PjGgCpTPl1GqmJqVgZakASMs1+nfLa/mEiR"
    "E3E63C8S5dFGCr4JtpIlsbTUbLfbsN9Ud6FHzQvU4c7IcHXRSkN0iNB93DeD9KOrqbhA2HtoLUh8EoTqKDcNjp6wbk"
    "mnM4jAiRdIJIh0bkJIqjUXeQ9JNPjWWQtFNfmeu5LQUemSJ3Z/Do5DXyhMlzpl4q4dW5ucp5lCCt6XxxEdxVOhBaqT"
    "kjjhzkdxvfARgDJzOYXukYf8rkBVM3TF0yr84C6hk6G1VB/85Ab33qDPV8Tp3MEbVNPaeaURX1z0JJ5Rl1vFdj4jcm"
    "L5n6Mq9+c68uyhs7GWX8Cr3K7YcwbvInz9lKyFMbms09OvS9V/5xOIz70cA/fr62sbbhN3uj/kft6+2toNcLX+j3K2"
    "7LXKeywxZdozb9ff4BnF7BPw=="
)


def _many_equal_rows(_: bytes) -> bytes:
    return zlib.decompress(base64.b64decode(_BOMB))


def _equal_texts(_: bytes) -> bytes:
    """One text of 60,000 characters 2,000 times: 120 MB, of which a dictionary keeps one copy."""
    text = pl.Series("product_code", ["x" * 60_000]).new_from_index(0, 2_000)
    frame = pl.DataFrame({"snapshot_date": [DAY] * 2_000, "customer_id": ["c"] * 2_000})
    written = io.BytesIO()
    frame.with_columns(text, quantity=pl.lit(1)).write_parquet(written)
    return written.getvalue()


def _blank_lines(plain: bytes) -> bytes:
    # 6 fields of 16 bytes: 3,000,000 lines take 288,000,000; four times 64 MiB are 268,435,456.
    return gzip.compress(plain + b"\n" * 3_000_000 + plain.splitlines()[1] + b"\n", mtime=0)


def _flip(at: int, bit: int = 0) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        damaged = bytearray(content)
        damaged[at] ^= 1 << bit
        return bytes(damaged)

    return change


def _manifest(**values: Any) -> Callable[[bytes], bytes]:
    return lambda _: json.dumps(values).encode()


def _vouching(rows: int, case: Callable[[str], str] = str) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(
        {"rows": rows, "sha256": case(hashlib.sha256(content).hexdigest())}
    ).encode()


def _unpacks_to_much(plain: bytes) -> bytes:
    # 80 MB of blanks are 80 kB packed, a thousandth.
    return gzip.compress(plain + b" " * 80_000_000, mtime=0)


WHOLE = Accepted(2)
LARGE_ROWS = 20_000
_LARGE = [G.replace("d1", f"d{n}") for n in range(LARGE_ROWS)]

ENCODINGS = (
    _csv("plain", _lines(U, G, O), WHOLE),
    _csv("bom", b"\xef\xbb\xbf" + _lines(U, G, O), Accepted(2, warnings=("byte_order_mark",))),
    _csv("bom-twice", b"\xef\xbb\xbf" * 2 + _lines(U, G), Refused(R.WRONG_HEADER, "ufeff")),
    _csv("bom-alone", b"\xef\xbb\xbf", Refused(R.EMPTY_FILE, "no header line")),
    _csv("crlf", _lines(U, G, O, end="\r\n"), Accepted(2, warnings=("crlf",))),
    _csv("lf-and-crlf", _lines(U, G) + _lines(O, end="\r\n"), Accepted(2, warnings=("crlf",))),
    # The header is 71 characters long.
    _csv("cr-alone", _lines(U, G, O, end="\r"), Refused(R.WRONG_HEADER, "line 1, byte 71")),
    _csv(
        "utf-16-le",
        _lines(U, G),
        Refused(R.WRONG_ENCODING, "line 1, byte 0: the file is UTF-16"),
        pack=lambda plain: b"\xff\xfe" + plain.decode().encode("utf-16-le"),
    ),
    _csv(
        "utf-16-be",
        _lines(U, G),
        Refused(R.WRONG_ENCODING, "line 1, byte 0: the file is UTF-16"),
        pack=lambda plain: b"\xfe\xff" + plain.decode().encode("utf-16-be"),
    ),
    _csv(
        "utf-16-without-bom",
        _lines(U, G),
        Refused(R.NUL_BYTE, "line 1, byte 1"),
        pack=lambda plain: plain.decode().encode("utf-16-le"),
    ),
    _csv(
        "utf-32",
        _lines(U, G),
        Refused(R.WRONG_ENCODING, "line 1, byte 0"),
        pack=lambda plain: plain.decode().encode("utf-32"),
    ),
    # After header and line break, 72 bytes, the date and its comma take 11, the id 5.
    _csv(
        "latin-1",
        _lines(U, G).replace(b"WHO00", b"WHO00\xe9"),
        Refused(R.WRONG_ENCODING, "line 2, byte 88: 0xe9 is not UTF-8"),
    ),
    _csv(
        "windows-1252",
        _lines(HEADER["customers"], GOOD["customers"]).replace(b"Alpha", b"O\x92Brien"),
        Refused(R.WRONG_ENCODING, "line 2"),
        "customers",
    ),
    _csv(
        "overlong-utf-8",
        _lines(U, G).replace(b"d1", b"\xc0\xaf"),
        Refused(R.WRONG_ENCODING, "0xc0 is not UTF-8"),
    ),
    _csv(
        "surrogate-in-utf-8",
        _lines(U, G).replace(b"d1", b"\xed\xa0\x80"),
        Refused(R.WRONG_ENCODING, "0xed is not UTF-8"),
    ),
    _csv(
        "character-cut-in-two",
        _lines(U, G).replace(b"d1", "d\N{SNOWMAN}".encode()[:-1]),
        Refused(R.WRONG_ENCODING, "line 2"),
    ),
    _csv(
        "bad-byte-in-a-large-file",
        # Row 10,000 stands on line 10,001.
        _lines(U, *_LARGE).replace(b",d9999,", b",d\xff999,"),
        Refused(R.WRONG_ENCODING, "line 10001"),
    ),
    _csv("nul-byte", _lines(U, G).replace(b"d1", b"d\x001"), Refused(R.NUL_BYTE, "line 2")),
    _csv("nul-at-the-end", _lines(U, G, O) + b"\0" * 512, Refused(R.NUL_BYTE, "line 4")),
    _csv("nuls-alone", b"\0" * 4096, Refused(R.NUL_BYTE, "line 1, byte 0")),
)

WHOLE_FILES = (
    _csv("zero-bytes", b"", Refused(R.EMPTY_FILE, "no header line")),
    _csv("line-breaks-alone", b"\n\r\n\n", Refused(R.EMPTY_FILE, "no header line")),
    _csv("blanks-alone", b"   \n  \n", Refused(R.EMPTY_FILE, "no header line")),
    _csv("header-alone", _lines(U), Accepted(0)),
    _csv("header-missing", _lines(G, O), Refused(R.WRONG_HEADER, "line 1: missing: 'snapshot_")),
    # Found by make fuzz.
    _csv("blank-line-first", _lines("", U, G), Refused(R.WRONG_HEADER, "line 1: missing")),
    _csv("header-twice", _lines(U, U, O), Accepted(1, ((2, "snapshot_date", R.INVALID_DATE),))),
    _csv("comment-before-header", _lines("# export", U, G), Refused(R.WRONG_HEADER, "# export")),
    _csv("excel-separator-line", _lines("sep=,", U, G), Refused(R.WRONG_HEADER, "'sep='")),
    _csv("html-page", b"<!DOCTYPE html>\n<html>502</html>\n", Refused(R.WRONG_HEADER, "DOCTYPE")),
    _csv("json", b'[{"snapshot_date": "2026-01-15"}]\n', Refused(R.WRONG_HEADER, "line 1")),
    # A gzip header has its first zero, the flags, at byte 3.
    _csv("gzip-as-csv", _lines(U, G), Refused(R.NUL_BYTE, "line 1, byte 3"), pack=_zip),
    _csv("cut-in-a-row", _lines(U, G, O)[:-9], Refused(R.NO_FINAL_LINE_BREAK, "line 3")),
    _csv("cut-before-line-break", _lines(U, G)[:-1], Refused(R.NO_FINAL_LINE_BREAK, "line 2")),
    _csv(
        "cut-inside-crlf",
        _lines(U, G, end="\r\n")[:-1],
        Refused(R.NO_FINAL_LINE_BREAK, "line 2"),
    ),
    _csv("cut-in-header", U[:20], Refused(R.NO_FINAL_LINE_BREAK, "line 1")),
    # Nobody can see this one without a manifest: it is accepted, as unverified.
    _csv("cut-after-a-row", _lines(U, G), Accepted(1)),
    _csv(
        "cut-after-a-row-with-manifest",
        _lines(U, G),
        Refused(R.MANIFEST_MISMATCH, "says 2 rows, the file has 1"),
        manifest=_manifest(rows=2),
    ),
    _csv(
        "cut-in-a-quoted-field",
        _lines(U) + b'2026-01-15,WHO00,"EP\nADV\n',
        Refused(R.UNCLOSED_QUOTE, "line 2"),
    ),
    _csv("dos-end-of-file", _lines(U, G) + b"\x1a", Refused(R.NO_FINAL_LINE_BREAK, "line 3")),
    _csv("blank-lines-at-the-end", _lines(U, G, O, "", ""), WHOLE),
    _csv("blank-line-between", _lines(U, G, "", O), Accepted(2, ((3, None, R.WRONG_FIELD_COUNT),))),
    _csv("line-of-blanks", _lines(U, G, "  ", O), Accepted(2, ((3, None, R.WRONG_FIELD_COUNT),))),
    _csv(
        "every-row-bad",
        _lines(U, "a,b", "c"),
        Accepted(0, ((2, None, R.WRONG_FIELD_COUNT), (3, None, R.WRONG_FIELD_COUNT))),
    ),
    _csv("repeated-row", _lines(U, G, O, G), Accepted(2, duplicates=1)),
    _csv(
        "rows-that-contradict",
        _lines(U, G, O, G.replace("08:00", "09:00")),
        Accepted(1, ((2, None, R.DUPLICATE_KEY), (4, None, R.DUPLICATE_KEY))),
    ),
    _csv(
        "two-names-for-a-customer",
        _lines(HEADER["customers"], GOOD["customers"], GOOD["customers"].replace("Alpha", "Beta")),
        Accepted(0, ((2, None, R.DUPLICATE_KEY), (3, None, R.DUPLICATE_KEY))),
        "customers",
    ),
    _csv(
        "every-row-of-another-day",
        _lines(U, G.replace("2026-01-15,", "2026-01-14,")),
        Refused(R.WRONG_DATE_FOLDER, "every row is of 2026-01-14, the folder of 2026-01-15"),
    ),
)

HEADERS = (
    _csv(
        "semicolons",
        _lines(U, G).replace(b",", b";"),
        Refused(R.WRONG_HEADER, "separated by ';' instead of commas"),
    ),
    _csv(
        "tabs",
        _lines(U, G).replace(b",", b"\t"),
        Refused(R.WRONG_HEADER, "instead of commas"),
    ),
    _csv(
        "pipes",
        _lines(U, G).replace(b",", b"|"),
        Refused(R.WRONG_HEADER, "separated by '|' instead of commas"),
    ),
    _csv("header-in-capitals", _lines(U.upper(), G), Refused(R.WRONG_HEADER, "'SNAPSHOT_DATE'")),
    _csv(
        "header-in-camel-case",
        _lines(U.replace("device_id", "deviceId"), G),
        Refused(R.WRONG_HEADER, "missing: 'device_id'; found instead: 'deviceId'"),
    ),
    _csv(
        "header-with-blanks",
        _lines(U.replace(",", ", "), G),
        Refused(R.WRONG_HEADER, "found instead: ' customer_id'"),
    ),
    _csv(
        "header-with-hard-blank",
        _lines(U.replace("user_id", "user_id\xa0"), G),
        Refused(R.WRONG_HEADER, "'user_id"),
    ),
    _csv("header-in-quotes", _lines(",".join(f'"{c}"' for c in U.split(",")), G, O), WHOLE),
    _csv("header-open-quote", _lines('"' + U, G), Refused(R.WRONG_HEADER, "line 1")),
    _csv("column-missing", _lines(U.replace(",user_id", ""), G), Refused(R.WRONG_HEADER, "user_")),
    _csv(
        "column-renamed",
        _lines(U.replace("user_id", "user"), G),
        Refused(R.WRONG_HEADER, "missing: 'user_id'; found instead: 'user'"),
    ),
    _csv(
        "columns-reordered",
        _lines(U.replace("device_id,user_id", "user_id,device_id"), G),
        Refused(R.WRONG_HEADER, "out of order"),
    ),
    _csv(
        "column-repeated",
        _lines(U + ",user_id", G + ",u1"),
        Refused(R.WRONG_HEADER, "repeated: 'user_id'"),
    ),
    _csv(
        "column-added",
        _lines(U + ",colour", G + ",red", O + ",blue"),
        Accepted(2, warnings=("added_column",)),
    ),
    _csv(
        "column-without-a-name",
        _lines(U + ",", G + ",", O + ","),
        Accepted(2, warnings=("added_column",)),
    ),
    _csv("header-of-another-feed", _lines(HEADER["portal_usage"]), Refused(R.WRONG_HEADER, "miss")),
    _csv(
        "header-of-100-kB",
        _lines(U + ",x" * 50_000),
        Refused(R.WRONG_HEADER, "longer than 65,536 characters"),
    ),
    _csv("header-repeats-itself", _lines(U + ",x" * 30_000), Refused(R.WRONG_HEADER, "repeated")),
)

QUOTES = (
    _csv(
        "quote-never-closed",
        _lines(U, G.replace("EPADV", '"EPADV'), O),
        Refused(R.UNCLOSED_QUOTE, "line 2: a quote opens and never closes"),
    ),
    _csv(
        "quote-closes-in-another-row",
        _lines(U, G.replace("EPADV", '"EPADV'), O.replace("EPADV", 'EP"ADV')),
        Refused(R.UNCLOSED_QUOTE, "line 2: a quote opens and closes in the middle of line 3"),
    ),
    _csv(
        "quote-in-the-middle",
        _lines(U, G.replace("d1", '5" disk'), O),
        Accepted(1, ((2, None, R.MALFORMED_QUOTES),)),
    ),
    _csv(
        "text-after-a-quote",
        _lines(U, G.replace("d1", '"d"1'), O),
        Accepted(1, ((2, None, R.MALFORMED_QUOTES),)),
    ),
    _csv(
        "blank-before-a-quote",
        _lines(U, G.replace("d1", ' "d1"'), O),
        Accepted(1, ((2, None, R.MALFORMED_QUOTES),)),
    ),
    _csv(
        "quote-escaped-by-backslash",
        _lines(U, G.replace("d1", r'"d\"1"'), O),
        Accepted(1, ((2, None, R.MALFORMED_QUOTES),)),
    ),
    _csv(
        "single-quotes",
        _lines(U, G.replace("d1", "'d1'"), O),
        Accepted(2, kept=("device_id", "'d1'")),
    ),
    _csv(
        "comma-in-single-quotes",
        _lines(U, G.replace("d1", "'d,1'"), O),
        Accepted(1, ((2, None, R.WRONG_FIELD_COUNT),)),
    ),
    _csv(
        "line-break-in-quotes",
        _lines(HEADER["customers"], GOOD["customers"].replace("Alpha", '"Al\npha"'), "x"),
        # The first row takes lines 2 and 3.
        Accepted(1, ((4, None, R.WRONG_FIELD_COUNT),), kept=("customer_name", "Al\npha")),
        "customers",
    ),
    _csv(
        "crlf-in-quotes",
        _lines(
            HEADER["customers"], GOOD["customers"].replace("Alpha", '"Al\npha"'), end="\n"
        ).replace(b"\n", b"\r\n"),
        Accepted(1, kept=("customer_name", "Al\r\npha"), warnings=("crlf",)),
        "customers",
    ),
    _csv(
        "field-too-few",
        _lines(U, G.rsplit(",", 1)[0], O),
        Accepted(1, ((2, None, R.WRONG_FIELD_COUNT),)),
    ),
    _csv("field-too-many", _lines(U, G + ",x", O), Accepted(1, ((2, None, R.WRONG_FIELD_COUNT),))),
    _csv("comma-at-the-end", _lines(U, G + ",", O), Accepted(1, ((2, None, R.WRONG_FIELD_COUNT),))),
    _csv(
        "field-of-3-MB",
        _lines(U, G.replace("d1", "x" * 3_000_000), O),
        Accepted(1, ((2, "device_id", R.FIELD_TOO_LONG),)),
    ),
    _csv(
        "field-of-65537-bytes",
        _lines(U, G.replace("d1", "x" * 65_537), O),
        Accepted(1, ((2, "device_id", R.FIELD_TOO_LONG),)),
    ),
    _csv("field-of-65536-bytes", _lines(U, G.replace("d1", "x" * 65_536), O), WHOLE),
    _csv(
        "quoted-field-of-3-MB-in-lines",
        _lines(U, G.replace("d1", '"' + "x\n" * 1_500_000 + '"'), O),
        Refused(R.UNCLOSED_QUOTE, "line 2"),
    ),
    _csv(
        "quoted-field-of-many-quotes",
        # Took minutes when each line was read from the row's beginning again.
        _lines(U, G.replace("d1", '"' + '\n""' * 200_000 + '"'), O),
        Accepted(1, ((2, "device_id", R.FIELD_TOO_LONG),)),
    ),
)

NUMBERS = (
    *(
        _cell(f"integer-{name}", "portal_usage", "quantity", text, R.INVALID_INTEGER)
        for name, text in {
            "fraction": "3.7",
            "fraction-zero": "4.0",
            "thousands-comma": '"1,000"',
            "thousands-dot": "1.000",
            "thousands-blank": "1 000",
            "thousands-apostrophe": "1'000",
            "underscore": "1_000",
            "exponent": "1e3",
            "hex": "0x10",
            "plus": "+5",
            "negative": "-5",
            "minus-zero": "-0",
            "blank-before": " 5",
            "full-width": "\uff15",
            "arabic-indic": "\u0665",
            "superscript": "\u00b2",
            "beyond-contract": "1000000000",
            "beyond-64-bits": "9223372036854775808",
            "beyond-128-bits": "9" * 40,
            "nan": "NaN",
            "infinity": "inf",
            "word": "five",
            "null-word": "NULL",
            "boolean": "true",
        }.items()
    ),
    _cell("integer-empty", "portal_usage", "quantity", "", R.MISSING_VALUE),
    _cell("integer-leading-zeros", "portal_usage", "quantity", "007", 7),
    _cell("integer-zero", "portal_usage", "quantity", "0", 0),
    _cell("integer-largest", "portal_usage", "quantity", "999999999", 999_999_999),
    _cell("integer-quoted", "portal_usage", "quantity", '"5"', 5),
    _cell("integer-negative-gz", "licences", "quantity", "-1", R.INVALID_INTEGER, GZ),
    *(
        _cell(f"decimal-{name}", "psa_additions", "unit_price", text, R.INVALID_DECIMAL)
        for name, text in {
            "comma": '"1,50"',
            "thousands": '"1,000.50"',
            "seven-places": "1.2345678",
            "thirteen-digits": "1234567890123",
            "exponent": "1e2",
            "negative": "-0.01",
            "plus": "+1.50",
            "no-leading-digit": ".5",
            "no-trailing-digit": "1.",
            "currency": "1.50 EUR",
            "nan": "NaN",
            "full-width": "\uff11.\uff15",
        }.items()
    ),
    _cell("decimal-smallest", "psa_additions", "unit_price", "0.000001", Decimal("0.000001")),
    _cell(
        "decimal-largest",
        "psa_additions",
        "unit_price",
        "9" * 12 + ".999999",
        Decimal("9" * 12 + ".999999"),
    ),
)

DATES = (
    *(
        _cell(f"date-{name}", "licences", "starts_on", text, R.INVALID_DATE)
        for name, text in {
            "impossible": "2021-04-31",
            "no-leap-year": "2025-02-29",
            "german": "15.01.2026",
            "american": "01/15/2026",
            "compact": "20260115",
            "short": "2026-1-5",
            "with-time": "2026-01-15T00:00:00Z",
            "week": "2026-W03-4",
            "year-zero": "0000-01-01",
            "five-digit-year": "12026-01-15",
            "negative-year": "-001-01-01",
            "month-13": "2026-13-01",
            "day-0": "2026-01-00",
            "excel-number": "46037",
            "full-width": "\uff12026-01-15",
            "blank-after": "2026-01-15 ",
            "today": "today",
        }.items()
    ),
    _cell("date-empty", "licences", "starts_on", "", R.MISSING_VALUE),
    _cell("date-year-9999", "licences", "ends_on", "9999-12-31", date(9999, 12, 31)),
    _cell("date-leap-day", "licences", "starts_on", "2024-02-29", date(2024, 2, 29)),
    _cell("date-transfer-impossible", "transfers", "effective_on", "2026-02-30", R.INVALID_DATE),
    _cell("date-registered-word", "partners", "registered_on", "yesterday", R.INVALID_DATE),
    *(
        _cell(f"time-{name}", "usage", "last_active_at", text, R.INVALID_TIMESTAMP)
        for name, text in {
            "without-z": "2026-01-15T08:00:00",
            "with-blank": "2026-01-15 08:00:00Z",
            "zone": "2026-01-15T08:00:00+01:00",
            "zone-zero": "2026-01-15T08:00:00+00:00",
            "small-z": "2026-01-15T08:00:00z",
            "no-seconds": "2026-01-15T08:00Z",
            "leap-second": "2026-01-15T23:59:60Z",
            "hour-24": "2026-01-15T24:00:00Z",
            "minute-60": "2026-01-15T08:60:00Z",
            "date-alone": "2026-01-15",
            "epoch": "1768464000",
            "impossible-day": "2025-02-29T08:00:00Z",
            "year-zero": "0000-01-01T00:00:00Z",
            "ten-places": "2026-01-15T08:00:00.0000000001Z",
        }.items()
    ),
    _cell("time-empty", "usage", "last_active_at", "", R.MISSING_VALUE),
    _cell(
        "time-fraction",
        "usage",
        "last_active_at",
        "2026-01-15T08:00:00.25Z",
        datetime.fromisoformat("2026-01-15T08:00:00.250000"),
    ),
    # The day ends at midnight; ten minutes of clock skew are allowed, to the end.
    _cell(
        "time-at-the-skew",
        "heartbeat",
        "last_heartbeat_at",
        "2026-01-16T00:10:00Z",
        datetime.fromisoformat("2026-01-16T00:10:00"),
    ),
    _cell(
        "time-beyond-the-skew",
        "heartbeat",
        "last_heartbeat_at",
        "2026-01-16T00:10:00.000001Z",
        R.FUTURE_TIME,
    ),
    _cell("time-next-year", "usage", "last_active_at", "2027-01-15T08:00:00Z", R.FUTURE_TIME),
    _cell("time-year-9999", "usage", "last_active_at", "9999-12-31T23:59:59Z", R.FUTURE_TIME),
    _cell("snapshot-date-other", "usage", "snapshot_date", "2026-01-14", R.WRONG_SNAPSHOT_DATE),
    _cell("snapshot-date-empty", "usage", "snapshot_date", "", R.MISSING_VALUE),
    _cell("snapshot-date-bad-gz", "usage", "snapshot_date", "15.01.2026", R.INVALID_DATE, GZ),
)

HOSTILE = {
    "formula": '=HYPERLINK("http://x","y")',
    "formula-plus": "+1+1",
    "formula-minus": "-2+3",
    "formula-at": "@SUM(A1:A9)",
    "formula-tab": "\t=1+1",
    "formula-cr": "\r=1+1",
    "formula-semicolon": "x;=1+1",
    "html": "<img src=x onerror=alert(1)>",
    "entity": "&lt;b&gt;",
    "sql": "'; DROP TABLE raw.usage; --",
    "typst": '#import "/etc/passwd" $ * _ `',
    "markdown": "[x](javascript:alert(1)) | `a` **b**",
    "rich-markup": "[red]x[/red][/]",
    "jinja": "{{ env_var('HOME') }}",
    "shell": "$(rm -rf /) `id` ; true",
    "path": "../../etc/passwd",
    "windows-path": "C:\\Windows\\..",
    "reserved": "CON",
    "terminal": "\x1b]0;x\x07\x1b[31mred\x1b[2J",
    "terminal-c1": "\x9b31mred",
    "backspaces": "good\x08\x08\x08\x08evil",
    "right-to-left": "\u202egnp.exe",
    "isolate": "\u2066x\u2069",
    "zero-width": "a\u200bb",
    "soft-hyphen": "a\u00adb",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 family",
    "astral": "\U0001f3f4\U000e0067\U000e007f",
    "mixed-script": "p\u0430ypal",
    "combining": "Z\u0351\u036b\u0343\u036aalgo",
    "null-word": "NULL",
    "long": "x" * 300,
    "xml-forbidden": "a\x01b\ufffe",
    "line-separator": "a\u2028b",
    "replacement": "caf\ufffd",
}

NAMES = (
    *(_text(f"name-{name}", "customers", "customer_name", text) for name, text in HOSTILE.items()),
    _text("id-formula", "usage", "customer_id", "=1+1"),
    _text("id-path", "usage", "device_id", "../../x"),
    _text("id-slash", "heartbeat", "serial_number", "a/b"),
    _text("id-terminal", "usage", "user_id", "\x1b[31m"),
    _text("id-right-to-left", "licences", "licence_id", "\u202eabc"),
    _text("id-300-characters", "psa_additions", "company_id", "x" * 300),
    _text("id-emoji", "transfers", "transfer_id", "\U0001f4a9"),
    _text("id-blank-around", "usage", "device_id", " d1 "),
    # Joined on bytes: two ids, two customers.
    _csv(
        "id-nfc-and-nfd",
        _lines(
            HEADER["customers"],
            "2026-01-15,WHO00caf\u00e9,A,P1,active",
            "2026-01-15,WHO00cafe\u0301,A,P1,active",
        ),
        Accepted(2, kept=("customer_id", "WHO00caf\u00e9")),
        "customers",
    ),
    _cell(
        "id-like-email",
        "licences",
        "customer_id",
        "ann@example.com",
        "ann@example.com",
    ),
    _csv(
        "user-like-email",
        _lines(U, G.replace("u1", "ann@example.com"), O),
        Accepted(2, warnings=("looks_like_email",)),
    ),
    *(
        _cell(f"id-{name}", "usage", "customer_id", text, R.MISSING_VALUE)
        for name, text in {
            "empty": "",
            "empty-quoted": '""',
            "blank": "   ",
            "tab": "\t",
            "hard-blank": "\u00a0",
            "wide-blank": "\u3000",
            "line-break": '"\n"',
        }.items()
    ),
    _cell("optional-user-empty", "usage", "user_id", "", None),
    _cell("optional-user-blank", "usage", "user_id", "  ", R.MISSING_VALUE),
    _cell("name-blank", "customers", "customer_name", "  ", R.MISSING_VALUE),
    *(
        _cell(f"partner-{name}", "customers", "partner_id", text, R.INVALID_IDENTIFIER)
        for name, text in {
            "parent-folder": "..",
            "traversal": "../P1",
            "slash": "P/1",
            "backslash": "P\\1",
            "absolute": "/etc",
            "drive": "C:P1",
            "hidden": ".P1",
            "dot-at-the-end": "P1.",
            "blank": "P 1",
            "blank-at-the-end": "P1 ",
            "dash-first": "-P1",
            "reserved": "con",
            "reserved-extension": "NUL.txt",
            "reserved-port": "com1",
            "65-characters": "p" * 65,
            "300-characters": "p" * 300,
            "umlaut": "P\u00e4",
            "full-width": "\uff30\uff11",
            "emoji": "P\U0001f4a9",
            "control": "P\x071",
            "right-to-left": "P\u202e1",
            "formula": "=P1",
            "percent": "P%2e%2e",
            "semicolon": "P;1",
            "line-break": '"P1\n"',
        }.items()
    ),
    _cell("distributor-traversal", "partners", "distributor_id", "../x", R.INVALID_IDENTIFIER),
    _cell("distributor-empty", "partners", "distributor_id", "", R.MISSING_VALUE),
    _cell("parent-partner-traversal", "partners", "parent_partner_id", "..", R.INVALID_IDENTIFIER),
    _cell("transfer-to-traversal", "transfers", "to_partner_id", "a/../b", R.INVALID_IDENTIFIER),
    _cell("partner-64-characters", "customers", "partner_id", "p" * 64, "p" * 64),
    _cell("partner-dots-inside", "customers", "partner_id", "p..1", "p..1"),
    _cell("status-unknown", "customers", "status", "deleted", R.VALUE_NOT_ALLOWED),
    _cell("status-in-capitals", "customers", "status", "ACTIVE", R.VALUE_NOT_ALLOWED),
    _cell("status-with-blank", "customers", "status", "active ", R.VALUE_NOT_ALLOWED),
    _cell("programme-unknown", "partners", "programme", "connect_max", R.VALUE_NOT_ALLOWED),
    _cell("licence-type-unknown", "licences", "licence_type", "annual", R.VALUE_NOT_ALLOWED),
    _cell("owner-unknown", "licences", "owner", "vendor", R.VALUE_NOT_ALLOWED),
    _cell("cluster-mode-unknown", "heartbeat", "cluster_mode", "both", R.VALUE_NOT_ALLOWED),
)

FIFTY = Accepted(50)
GZIP = (
    _gz("gzip", _zip, FIFTY),
    _gz("gzip-two-members", lambda plain: _zip(plain[:300]) + _zip(plain[300:]), FIFTY),
    _gz("gzip-padded-with-nuls", lambda plain: _zip(plain) + b"\0" * 512, FIFTY),
    _gz("gzip-zero-bytes", lambda _: b"", Refused(R.EMPTY_FILE, "no header line")),
    _gz("gzip-of-nothing", lambda _: _zip(b""), Refused(R.EMPTY_FILE, "no header line")),
    *(
        _gz(
            f"gzip-cut-{name}",
            lambda plain, to=to: _zip(plain)[:to],
            Refused(R.CORRUPT_FILE, "gzip: "),
        )
        for name, to in {
            "in-magic": 1,
            "in-header": 5,
            "after-header": 10,
            "in-the-data": 60,
            "before-the-sums": -8,
            "in-the-crc": -6,
            "before-the-length": -4,
            "by-one-byte": -1,
        }.items()
    ),
    *(
        _gz(
            f"gzip-flipped-{name}",
            lambda plain, at=at: _flip(at)(_zip(plain)),
            Refused(R.CORRUPT_FILE, "gzip: "),
        )
        for name, at in {
            "magic": 0,
            "magic-2": 1,
            "method": 2,
            "data": 40,
            "crc": -8,
            "length": -4,
        }.items()
    ),
    _gz("gzip-changed-time", lambda plain: _flip(5)(_zip(plain)), FIFTY),
    _gz(
        "gzip-second-member-cut",
        lambda plain: _zip(plain[:300]) + _zip(plain[300:])[:-5],
        Refused(R.CORRUPT_FILE, "gzip: Compressed file ended before"),
    ),
    _gz(
        "gzip-and-garbage",
        lambda plain: _zip(plain) + b"garbage",
        Refused(R.CORRUPT_FILE, "gzip: Not a gzipped file"),
    ),
    _gz("gzip-plain-csv", bytes, Refused(R.CORRUPT_FILE, "gzip: Not a gzipped file (b'sn')")),
    _gz("gzip-in-gzip", lambda plain: _zip(_zip(plain)), Refused(R.NUL_BYTE, "line 1, byte 3")),
    _gz(
        "gzip-of-latin-1",
        lambda plain: _zip(plain.replace(b"EPADV", b"\xe9", 1)),
        Refused(R.WRONG_ENCODING, "line 2, byte 89"),
    ),
    _gz("gzip-bomb", _unpacks_to_much, Refused(R.FILE_TOO_LARGE, "over 200 times as many")),
    _gz("gzip-blank-lines", _blank_lines, Refused(R.FILE_TOO_LARGE, "whose fields take more than")),
)

PU = "portal_usage"
PARQUETS = (
    *(_parquet(f"parquet-{feed.replace('_', '-')}", feed, WHOLE) for feed in FEEDS),
    _parquet("parquet-no-rows", PU, Accepted(0), lambda frame: frame.clear()),
    _parquet("parquet-no-columns", PU, Refused(R.WRONG_HEADER, "missing"), lambda f: f.select()),
    _parquet(
        "parquet-zero-bytes", PU, Refused(R.CORRUPT_FILE, "begins with b''"), pack=lambda _: b""
    ),
    _parquet(
        "parquet-magic-alone", PU, Refused(R.CORRUPT_FILE, "Parquet: "), pack=lambda _: b"PAR1"
    ),
    _parquet(
        "parquet-csv",
        PU,
        Refused(R.CORRUPT_FILE, "begins with b'snap'"),
        pack=lambda _: _lines(HEADER[PU]),
    ),
    *(
        _parquet(
            f"parquet-cut-{name}",
            PU,
            Refused(R.CORRUPT_FILE, "Parquet: "),
            pack=lambda b, to=to: b[:to],
        )
        for name, to in {
            "in-the-data": 40,
            "in-the-footer": -40,
            "in-the-length": -6,
            "by-one-byte": -1,
        }.items()
    ),
    _parquet(
        "parquet-and-garbage",
        PU,
        Refused(R.CORRUPT_FILE, "ends with b'bage'"),
        pack=lambda b: b + b"garbage",
    ),
    _parquet("parquet-flipped-magic", PU, Refused(R.CORRUPT_FILE, "begins with"), pack=_flip(0)),
    _parquet("parquet-flipped-length", PU, Refused(R.CORRUPT_FILE, "Parquet: "), pack=_flip(-6, 7)),
    _parquet("parquet-encrypted", PU, Refused(R.CORRUPT_FILE, "it is encrypted"), pack=_encrypted),
    _parquet(
        "parquet-bomb",
        PU,
        Refused(R.FILE_TOO_LARGE, "150,000,000 rows"),
        pack=_many_equal_rows,
    ),
    _parquet(
        "parquet-equal-texts",
        PU,
        Refused(R.FILE_TOO_LARGE, "hold 2,000 rows of 120,"),
        pack=_equal_texts,
    ),
    _parquet(
        "parquet-column-missing",
        PU,
        Refused(R.WRONG_HEADER, "missing: 'quantity'"),
        lambda f: f.drop("quantity"),
    ),
    _parquet(
        "parquet-column-renamed",
        PU,
        Refused(R.WRONG_HEADER, "found instead: 'qty'"),
        lambda f: f.rename({"quantity": "qty"}),
    ),
    _parquet(
        "parquet-column-in-capitals",
        PU,
        Refused(R.WRONG_HEADER, "'QUANTITY'"),
        lambda f: f.rename({"quantity": "QUANTITY"}),
    ),
    _parquet(
        "parquet-columns-reordered",
        PU,
        Refused(R.WRONG_HEADER, "out of order"),
        lambda f: f.select(reversed(f.columns)),
    ),
    _parquet(
        "parquet-column-added",
        PU,
        Accepted(2, warnings=("added_column",)),
        lambda f: f.with_columns(pl.lit("red").alias("colour")),
    ),
    *(
        _parquet(
            f"parquet-{name}",
            feed,
            Refused(R.WRONG_TYPE, f"column {column} is"),
            _typed(column, dtype),
        )
        for name, feed, column, dtype in (
            ("date-as-text", PU, "snapshot_date", pl.String),
            ("date-as-time", PU, "snapshot_date", pl.Datetime("us")),
            ("count-as-float", PU, "quantity", pl.Float64),
            ("count-as-text", PU, "quantity", pl.String),
            ("count-as-decimal", PU, "quantity", pl.Decimal(18, 0)),
            ("count-as-boolean", PU, "quantity", pl.Boolean),
            ("text-as-binary", PU, "customer_id", pl.Binary),
            ("price-as-float", "psa_additions", "unit_price", pl.Float64),
            ("price-of-seven-places", "psa_additions", "unit_price", pl.Decimal(20, 7)),
            ("time-as-text", "usage", "last_active_at", pl.String),
            ("time-of-vienna", "usage", "last_active_at", pl.Datetime("us", "Europe/Vienna")),
            ("time-as-number", "usage", "last_active_at", pl.Int64),
        )
    ),
    _parquet("parquet-list", PU, Refused(R.WRONG_TYPE, "column customer_id is List"), _listed),
    _parquet(
        "parquet-nested",
        PU,
        Refused(R.WRONG_TYPE, "column customer_id is"),
        lambda f: f.with_columns(pl.struct("customer_id", "product_code").alias("customer_id")),
    ),
    _parquet(
        "parquet-unknown-type-required",
        PU,
        Refused(R.WRONG_TYPE, "quantity"),
        lambda f: f.with_columns(pl.lit(None).alias("quantity")),
    ),
    _parquet(
        "parquet-unknown-type-optional",
        "usage",
        WHOLE,
        lambda f: f.with_columns(pl.lit(None).alias("user_id")),
    ),
    _parquet("parquet-dictionary", PU, WHOLE, _typed("product_code", pl.Categorical)),
    _parquet("parquet-small-integers", PU, WHOLE, _typed("quantity", pl.Int8)),
    _parquet(
        "parquet-time-in-utc", "usage", WHOLE, _typed("last_active_at", pl.Datetime("ns", "UTC"))
    ),
    *(
        _parquet(
            f"parquet-{name}",
            feed,
            Accepted(1, ((1, column, reason),)),
            _first(column, value, dtype),
        )
        for name, feed, column, value, dtype, reason in (
            ("negative-count", PU, "quantity", -1, pl.Int64, R.INVALID_INTEGER),
            ("absurd-count", PU, "quantity", 10**9, pl.Int64, R.INVALID_INTEGER),
            ("count-beyond-64-bits", PU, "quantity", 2**64 - 1, pl.UInt64, R.INVALID_INTEGER),
            ("no-count", PU, "quantity", None, pl.Int64, R.MISSING_VALUE),
            ("empty-id", PU, "customer_id", "", pl.String, R.MISSING_VALUE),
            ("blank-id", PU, "customer_id", " \t", pl.String, R.MISSING_VALUE),
            ("no-id", PU, "customer_id", None, pl.String, R.MISSING_VALUE),
            ("nul-in-id", PU, "customer_id", "a\0b", pl.String, R.NUL_CHARACTER),
            ("huge-id", PU, "customer_id", "x" * 65_537, pl.String, R.FIELD_TOO_LONG),
            ("traversal", "customers", "partner_id", "../x", pl.String, R.INVALID_IDENTIFIER),
            ("status", "customers", "status", "gone", pl.String, R.VALUE_NOT_ALLOWED),
            (
                "negative-price",
                "psa_additions",
                "unit_price",
                Decimal("-1"),
                pl.Decimal(18, 6),
                R.INVALID_DECIMAL,
            ),
            (
                "price-of-36-digits",
                "psa_additions",
                "unit_price",
                Decimal(10**35),
                pl.Decimal(38, 0),
                R.INVALID_DECIMAL,
            ),
            (
                "other-day",
                "usage",
                "snapshot_date",
                date(2026, 1, 14),
                pl.Date,
                R.WRONG_SNAPSHOT_DATE,
            ),
            (
                "future",
                "usage",
                "last_active_at",
                datetime.fromisoformat("2026-01-17T00:00:00"),
                pl.Datetime("us"),
                R.FUTURE_TIME,
            ),
        )
    ),
    # Days no calendar names made Polars panic, and so ended the load of every file.
    *(
        _parquet(
            f"parquet-{name}",
            feed,
            Accepted(1, ((1, column, reason),)),
            _physical(column, number, dtype),
        )
        for name, feed, column, number, dtype, reason in (
            ("last-day-of-32-bits", "licences", "starts_on", 2**31 - 1, pl.Date, R.INVALID_DATE),
            ("first-day-of-32-bits", "licences", "starts_on", -(2**31), pl.Date, R.INVALID_DATE),
            # 10000-01-01 is 2,932,897 days after 1970-01-01, and 0000-12-31 is 719,163 before.
            ("year-10000", "licences", "starts_on", 2_932_897, pl.Date, R.INVALID_DATE),
            ("year-0", "licences", "starts_on", -719_163, pl.Date, R.INVALID_DATE),
            (
                "last-millisecond",
                "usage",
                "last_active_at",
                2**63 - 1,
                pl.Datetime("ms"),
                R.INVALID_TIMESTAMP,
            ),
            (
                "first-millisecond",
                "usage",
                "last_active_at",
                -(2**63),
                pl.Datetime("ms"),
                R.INVALID_TIMESTAMP,
            ),
            (
                "last-microsecond",
                "usage",
                "last_active_at",
                2**63 - 1,
                pl.Datetime("us"),
                R.INVALID_TIMESTAMP,
            ),
            (
                "first-microsecond",
                "usage",
                "last_active_at",
                -(2**63),
                pl.Datetime("us"),
                R.INVALID_TIMESTAMP,
            ),
            # The last nanosecond of 64 bits is in the year 2262: a real day, but not yet.
            (
                "last-nanosecond",
                "usage",
                "last_active_at",
                2**63 - 1,
                pl.Datetime("ns"),
                R.FUTURE_TIME,
            ),
        )
    ),
    _parquet(
        "parquet-year-9999",
        "licences",
        Accepted(2, kept=("ends_on", date(9999, 12, 31))),
        _first("ends_on", date(9999, 12, 31), pl.Date),
    ),
)

TWO = _lines(HEADER["psa_additions"], GOOD["psa_additions"], OTHER["psa_additions"])


def _said(name: str, manifest: Callable[[bytes], bytes], verdict: Accepted | Refused) -> Case:
    return _csv(f"manifest-{name}", TWO, verdict, "psa_additions", manifest)


def _bytes(content: bytes) -> Callable[[bytes], bytes]:
    return lambda _: content


_INCOMPLETE = Accepted(2, warnings=("incomplete_manifest",))
MANIFESTS = (
    _said("agrees", _vouching(2), Accepted(2, is_verified=True)),
    _said("agrees-in-capitals", _vouching(2, str.upper), Accepted(2, is_verified=True)),
    # 5 + 9 and 1.50 + 9.50.
    _said(
        "totals", _manifest(rows=2, totals={"quantity": "14", "unit_price": "11.00"}), _INCOMPLETE
    ),
    _said("says-nothing", _manifest(), _INCOMPLETE),
    _said("rows-alone", _manifest(rows=2), _INCOMPLETE),
    _said(
        "with-bom",
        lambda content: b"\xef\xbb\xbf" + _vouching(2)(content),
        Accepted(2, is_verified=True),
    ),
    _said(
        "wrong-sha256",
        _manifest(rows=2, sha256="0" * 64),
        Refused(R.MANIFEST_MISMATCH, "SHA-256 000"),
    ),
    _said("short-sha256", _manifest(sha256="abc"), Refused(R.MANIFEST_MISMATCH, "SHA-256 abc")),
    _said("wrong-rows", _vouching(3), Refused(R.MANIFEST_MISMATCH, "says 3 rows, the file has 2")),
    _said(
        "wrong-total",
        _manifest(totals={"quantity": "15"}),
        Refused(R.MANIFEST_MISMATCH, "quantity adds up to 15, the file's to 14"),
    ),
    _said("total-of-a-text", _manifest(totals={"psa": "1"}), Refused(R.MANIFEST_INVALID, "'psa'")),
    _said(
        "total-a-word",
        _manifest(totals={"quantity": "many"}),
        Refused(R.MANIFEST_INVALID, "'many'"),
    ),
    _said("total-nan", _manifest(totals={"quantity": "NaN"}), Refused(R.MANIFEST_INVALID, "'NaN'")),
    _said(
        "total-signalling-nan",
        _manifest(totals={"quantity": "sNaN"}),
        Refused(R.MANIFEST_INVALID, "'sNaN'"),
    ),
    _said(
        "total-infinite",
        _bytes(b'{"totals": {"quantity": Infinity}}'),
        Refused(R.MANIFEST_INVALID, "inf"),
    ),
    _said(
        "total-enormous",
        _manifest(totals={"quantity": "1e999999"}),
        Refused(R.MANIFEST_MISMATCH, "1E+999999"),
    ),
    _said("rows-negative", _manifest(rows=-1), Refused(R.MANIFEST_INVALID, "-1")),
    _said("rows-a-text", _manifest(rows="2"), Refused(R.MANIFEST_INVALID, "'2'")),
    _said("rows-a-fraction", _manifest(rows=2.0), Refused(R.MANIFEST_INVALID, "2.0")),
    _said(
        "rows-of-5000-digits",
        _bytes(b'{"rows": ' + b"9" * 5000 + b"}"),
        Refused(R.MANIFEST_INVALID, "is not JSON"),
    ),
    _said("a-list", _bytes(b"[]"), Refused(R.MANIFEST_INVALID, "not a JSON object")),
    _said("empty", _bytes(b""), Refused(R.MANIFEST_INVALID, "is not JSON")),
    _said("cut", _bytes(b'{"rows": 2, "sha'), Refused(R.MANIFEST_INVALID, "is not JSON")),
    _said("binary", _bytes(b"\xff\xfe\x00\x9b"), Refused(R.MANIFEST_INVALID, "is not JSON")),
    _said("deep", _bytes(b"[" * 100_000), Refused(R.MANIFEST_INVALID, "is not JSON")),
    _said(
        "of-2-MB",
        _bytes(b'{"rows": 2, "x": "' + b"x" * 2_000_000 + b'"}'),
        Refused(R.MANIFEST_INVALID, "longer than 1,048,576 bytes"),
    ),
    _said(
        "half-a-character",
        _bytes(b'{"sha256": "\\ud800"}'),
        Refused(R.MANIFEST_MISMATCH, "\\ud800"),
    ),
    _said(
        "escape-sequence",
        _bytes(b'{"sha256": "\\u001b[31m"}'),
        Refused(R.MANIFEST_MISMATCH, "\\u001b[31m"),
    ),
)

CASES = (
    *ENCODINGS,
    *WHOLE_FILES,
    *HEADERS,
    *QUOTES,
    *NUMBERS,
    *DATES,
    *NAMES,
    *GZIP,
    *PARQUETS,
    *MANIFESTS,
)


def who(case: Case) -> str:
    """The id that stands in this case's file and in no other."""
    return f"c{CASES.index(case):04d}"
