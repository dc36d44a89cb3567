"""Tables and bars as Markdown."""

from dagster_project.lib.charts import bars, table


def test_a_table_aligns_numbers_and_escapes_text() -> None:
    assert table(["name", "rows"], [("a|b", 1200), ("c\nd", 3)]) == (
        "| name | rows |\n| --- | ---: |\n| a\\|b | 1,200 |\n| c d | 3 |"
    )
    assert table(["name"], [(None,)]).endswith("|  |")
    assert table(["name"], []) == "_nothing_"


def test_bars_are_as_long_as_their_values() -> None:
    # 20 characters are the largest value: 5 of 8 is 12.5 characters, twelve blocks and a half.
    lines = bars("product", "units", {"all": 8, "some": 5, "none": 0}).splitlines()[2:]
    assert lines == [
        f"| all | 8 | {'█' * 20} |",
        f"| some | 5 | {'█' * 12}▌ |",
        "| none | 0 |  |",
    ]
