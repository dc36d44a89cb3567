"""The vendor's page says what the house says, names where it comes from, and asks for nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from browser import browser, requests
from house import House
from lxml import html

from dagster_project.lib import operations
from dagster_project.lib.settings import Settings
from dagster_project.lib.status import CorrectionStatus


def _page(house: House) -> html.HtmlElement:
    return html.document_fromstring((house.home / "published/index.html").read_bytes())


def _table(page: html.HtmlElement, section: str) -> list[list[str]]:
    rows = page.xpath(f"//section[@id='{section}']//tbody/tr[not(@class='why')]")
    return [[" ".join(cell.text_content().split()) for cell in row] for row in rows]


def _settings(house: House) -> Settings:
    return Settings(house.home, house.landing, house.seeds)


def test_every_period_stands_with_its_state_amount_and_reasons(closed_house: House) -> None:
    told = closed_house.ask("status", expect=0)
    shown = {(row[0], row[1]): row for row in _table(_page(closed_house), "periods")}
    assert len(shown) == len(told["periods"])
    for one in told["periods"]:
        row = shown[one["period"], one["distributor_id"]]
        assert row[2] == one["state"]
        assert row[4] == f"{one['amount']} {one['currency']}"
        assert row[3] == (one["number"] or "")
        assert row[6] == ("ready to send" if one["state"] == "issued" else "")
    held = _page(closed_house).xpath("//tr[@class='why']")
    assert len(held) == sum(bool(one["reasons"]) for one in told["periods"]) == 2
    assert "2026-01 must be issued first" in held[0].text_content()


def test_the_next_close_follows_from_what_is_issued(closed_house: House) -> None:
    """Cascadia's January is held; the others are issued up to February, so March is next, whose
    last day is the 31st."""
    assert [row[:3] for row in _table(_page(closed_house), "next")] == [
        ["alpenland", "2026-03", "2026-03-31"],
        ["cascadia", "2026-01", "2026-01-25"],
        ["sakura", "2026-03", "2026-03-31"],
    ]


def test_months_are_compared_by_what_the_documents_bill(closed_house: House) -> None:
    """Summed here from the ledger's files alone; Cascadia, in USD, has drafts."""
    billed: dict[tuple[str, str, str], tuple[int, Decimal]] = {}
    for path in (closed_house.home / "ledger").glob("*/[0-9]*.json"):
        content = json.loads(path.read_bytes())["content"]
        for line in content["lines"]:
            period = (content.get("corrects") or content)["period"]
            key = (line["product_name"], content["currency"], period)
            units, amount = billed.get(key, (0, Decimal(0)))
            billed[key] = (units + line["quantity"], amount + Decimal(line["amount"]))
    found = {}
    for name, currency, *periods, _ in _table(_page(closed_house), "products"):
        for period, cell in zip(("2026-01", "2026-02"), periods, strict=True):
            if currency != "USD" and cell:
                units, amount = cell.split()
                found[name, currency, period] = (int(units.replace(",", "")), Decimal(amount))
    assert found == billed


def test_holes_and_quarantine_stand_by_their_source(closed_house: House) -> None:
    with duckdb.connect(closed_house.home / "published/current.duckdb", read_only=True) as conn:
        wanted = conn.execute(
            """
            select feed, source, count(*) filter (not is_received), sum(rows_quarantined)
            from quality.feed_calendar group by all order by feed, source
            """
        ).fetchall()
    rows = _page(closed_house).xpath("//section[@id='feeds']/div/table/tbody/tr")
    found = [
        (
            row[0].text_content(),
            row[1].text_content(),
            len(row.xpath(".//li[not(@class='received')]")),
            int(row[5].text_content() or 0),
        )
        for row in rows
    ]
    assert found == [(feed, source, holes, bad or 0) for feed, source, holes, bad in wanted]
    assert sum(holes for *_, holes, _ in found) > 0
    assert sum(bad for *_, bad in found) > 0


def test_what_great_expectations_found_is_shown(closed_house: House) -> None:
    found = {row[0]: row[1:] for row in _table(_page(closed_house), "checks")}
    assert found["landed volumes"][0].endswith("of 3")
    assert found["draft of 2026-02"][0].endswith("of 23")
    # The planted line without a price fails one of them.
    assert "line_unit_price_present" in found["draft of 2026-02"][1]


def test_every_link_leads_to_a_file_beside_the_page(closed_house: House) -> None:
    page = _page(closed_house)
    links = [one for one in page.xpath("//a/@href") if not one.startswith("#")]
    assert len(links) > 5
    for link in links:
        assert (closed_house.home / "published" / link).exists(), link
    for anchor in page.xpath("//a/@href[starts-with(., '#')]"):
        assert page.xpath(f"//*[@id='{anchor[1:]}']"), anchor
    text = (closed_house.home / "published/index.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=.?(https?:|//)|@import|url\(", text)


def test_made_again_it_has_the_same_bytes(closed_house: House) -> None:
    written = (closed_house.home / "published/index.html").read_bytes()
    assert operations.page(_settings(closed_house)) == written


def test_names_are_text(closed_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a source or a clerk writes."""
    hostile = "</style><script>alert(1)</script>&"
    one = CorrectionStatus("2026-01", hostile, "EUR", "pending", hostile, "2026-02", None, "1.00")
    monkeypatch.setattr("dagster_project.lib.status.corrections", lambda _: [replace(one)])
    page = html.document_fromstring(operations.page(_settings(closed_house)))
    assert not page.xpath("//script")
    assert hostile in page.xpath("//section[@id='corrections']")[0].text_content()


def test_an_empty_house_has_a_page(tmp_path: Path) -> None:
    """Nothing issued, nothing flagged: one file of usage."""
    from tiny import month_end, seeds, usage

    house = House(tmp_path / "home", tmp_path / "landing", seeds(tmp_path / "seeds"))
    month_end(house.landing, "2026-01-15", usage("C1", ["a"], "2026-01-10"))
    house.muster("load")
    page = _page(house)
    assert [row[2] for row in _table(page, "periods")] == ["open"]
    assert _table(page, "corrections") == [["No issued period turned out otherwise."]]


def test_what_is_missing_follows_from_what_was_expected_and_when_it_came(tmp_path: Path) -> None:
    """R3, on the page and in status alike. Nothing came on 29 and 31 January: the file of the 30th
    shows the 29th, that of 1 February is too late for the cut-off of the 31st. eu-north was
    expected up to 28 January only, eu-west from 1 February on and never came."""
    from tiny import month_end, seeds, usage, write

    house = House(tmp_path / "home", tmp_path / "landing", seeds(tmp_path / "seeds"))
    with (house.seeds / "expected_sources.csv").open("a") as file:
        file.write("usage,eu-north,2025-01-01,2026-01-28\nusage,eu-west,2026-02-01,\n")
    for day in ("2026-01-28", "2026-01-30", "2026-02-01"):
        month_end(house.landing, day, usage("C1", ["a"], "2026-01-20"))
    write(house.landing, "usage", "2026-01-28", "eu-north", usage("C2", ["b"], "2026-01-20"))
    house.muster("load")

    told = {one["feed"]: one for one in house.ask("status")["feeds"]}
    hole, open_ = "2026-01-31 eu-central, holds 2026-01", "2026-02-01 eu-west"
    assert (told["usage"]["missing"], told["usage"]["healed"]) == (
        [hole, open_],
        ["2026-01-29 eu-central"],
    )
    assert told["heartbeat"]["missing"] == [hole]
    # The snapshot before stands in for the registry's, and somebody may want to send it (R11).
    assert told["customers"]["missing"] == ["2026-01-29 crm", "2026-01-31 crm"]

    rows = _page(house).xpath("//section[@id='feeds']/div/table/tbody/tr")
    shown = {
        (row[0].text_content(), row[1].text_content()): (
            [day.get("class") for day in row.xpath(".//li")],
            " ".join(row.xpath(".//td[2]/span")[0].text_content().split()),
        )
        for row in rows
    }
    assert shown["usage", "eu-central"] == (
        ["received", "healed", "received", "missing", "received"],
        "2026-01-31 missing, holds 2026-01, 2026-01-29 healed",
    )
    assert shown["usage", "eu-north"] == (["received"], "complete")
    assert shown["usage", "eu-west"] == (["missing"], "2026-02-01 missing")
    titles = _page(house).xpath("//li[@class='missing']/@title")
    assert "2026-01-31: missing; nothing came in time for the cut-off of 2026-01" in titles
    assert "(missing_file): 2 open" in house.muster("close", "2026-01", expect=3)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browser(tmp_path_factory.mktemp("operations")) as opened:
        yield opened


def _open(driver: Any, page: Path, width: int) -> None:
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    driver.get(page.as_uri())


@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser_it_asks_for_nothing_and_fits(
    closed_house: House, driver: Any, width: int
) -> None:
    page = closed_house.home / "published/index.html"
    # The browser's own first page is loaded from its own resources.
    driver.get("about:blank")
    requests(driver)
    _open(driver, page, width)
    asked = [one for one in requests(driver) if not one.startswith("data:")]
    assert asked == [page.as_uri()]
    assert driver.get_log("browser") == []
    # Wide tables scroll in a region of their own; the page does not.
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    colour = driver.execute_script(
        "return getComputedStyle(document.querySelector('.state.held')).color"
    )
    # The style is in force: the policy names the hash of these very bytes.
    assert colour == "rgb(163, 34, 43)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_it(closed_house: House, driver: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_core_python")
    source = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    _open(driver, closed_house.home / "published/index.html", 1280)
    driver.execute_script(source)
    found = driver.execute_async_script(
        "axe.run(document).then(arguments[0], e => arguments[0]({violations: [String(e)]}))"
    )
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
