"""Somebody else's counts as a file: what is read, and how every fault is told.

What differences split into is tested on the functions themselves, in tests/integration.
"""

import re
from datetime import date
from pathlib import Path

import pytest

from dagster_project.lib.compare import CAUSES, CompareError, Listed, read_file
from dagster_project.lib.settings import REPOSITORY


def _file(folder: Path, text: str) -> Path:
    path = folder / "theirs.csv"
    path.write_bytes(text.encode())
    return path


def test_counts_are_read_in_any_order_of_columns(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "\ufeffproduct_code,quantity,customer_id,counted_on\r\n"
        'EPSTD, 12 ,"C,1",2026-01-31\r\nWEB,0,C2,\r\n',
    )
    assert read_file(path) == (
        "counts",
        [
            Listed("C,1", "EPSTD", 12, None, date(2026, 1, 31)),
            Listed("C2", "WEB", 0, None, None),
        ],
    )


def test_units_are_read(tmp_path: Path) -> None:
    path = _file(tmp_path, "customer_id,product_code,unit_id\nC1,EPSTD,u-1\nC1,EPSTD,u-2\n")
    kind, rows = read_file(path)
    assert kind == "units"
    assert [row.unit_id for row in rows] == ["u-1", "u-2"]


def test_every_fault_is_told_by_line_and_column(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "customer_id,product_code,quantity,counted_on\n"
        "C1,EPSTD,3.7,\n"  # line 2
        "C1,WEB,-1,31.01.2026\n"
        ",SVSTD,,2026-02-30\n"
        "C2,EPSTD,1\n"
        "C3,EPSTD,1,\n"
        "\n"
        "C3,EPSTD,1,\n"
        "C3,EPSTD,2,20260131\n",
    )
    with pytest.raises(CompareError) as caught:
        read_file(path)
    assert str(caught.value).splitlines()[1:] == [
        "  line 2, quantity: '3.7' is not a whole number of at most 15 digits",
        "  line 3, quantity: '-1' is not a whole number of at most 15 digits",
        "  line 3, counted_on: '31.01.2026' is not a date such as 2026-01-31",
        "  line 4, customer_id: empty",
        "  line 4, quantity: empty",
        "  line 4, counted_on: '2026-02-30' is not a date such as 2026-01-31",
        "  line 5: 3 fields, the header has 4",
        "  line 9, counted_on: '20260131' is not a date such as 2026-01-31",
        "  lines 6, 8: C3 EPSTD is there 2 times",
    ]


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("customer_id,quantity", "column product_code is missing"),
        ("customer_id,product_code", "quantity and unit_id are both missing"),
        ("customer_id,product_code,quantity,unit_id", "are both there: give one"),
        ("customer_id,product_code,quantity,price", "column 'price' is not known"),
        ("customer_id,product_code,quantity,quantity", "column quantity is there twice"),
        ("", "column customer_id is missing"),
    ],
)
def test_a_wrong_header_is_told(tmp_path: Path, header: str, fault: str) -> None:
    with pytest.raises(CompareError, match=f"line 1: .*{fault}"):
        read_file(_file(tmp_path, f"{header}\n"))


def test_a_file_that_is_no_list_is_told(tmp_path: Path) -> None:
    with pytest.raises(CompareError, match="has no rows"):
        read_file(_file(tmp_path, "customer_id,product_code,quantity\n"))
    with pytest.raises(CompareError, match="line 2: unexpected end of data"):
        read_file(_file(tmp_path, 'customer_id,product_code,quantity\nC1,"EPSTD,1\n'))
    path = tmp_path / "latin.csv"
    path.write_bytes("customer_id,product_code,quantity\nMüller,EPSTD,1\n".encode("latin-1"))
    with pytest.raises(CompareError, match="is not UTF-8: byte 35 "):
        read_file(path)


def test_causes_are_those_of_the_models_in_their_order() -> None:
    macro = (REPOSITORY / "dbt/macros/causes.sql").read_text(encoding="utf-8")
    listed = re.findall(r'^ +"(\w+)",$', macro.split("{%- endmacro %}")[0], re.MULTILINE)
    assert tuple(listed) == CAUSES
