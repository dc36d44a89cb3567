"""Invented names of partners and customers, in the scripts of their countries.

Words only; nothing here knows what a customer is. Some names hold commas, quotes, or begin like
a formula, so that quoting and neutralising downstream are always exercised.
"""

from __future__ import annotations

import unicodedata
from collections import Counter

from ingest.simulate.hashing import draw, pick

COUNTRIES: dict[str, tuple[str, ...]] = {
    "AT": ("AT", "DE", "AT", "GR", "CH", "BG"),
    "US": ("US", "US", "CA"),
    "JP": ("JP", "JP", "TW"),
}

_LATIN = (
    ("Alder", "Birch", "Copper", "Driftwood", "Elk", "Fern", "Granite", "Harrow", "Juniper"),
    ("Bay", "Canyon", "Creek", "Field", "Harbor", "Hollow", "Lake", "Ridge", "Valley"),
    ("Dental", "Foods", "Freight", "Law Group", "Machine Works", "Orchards", "Veterinary"),
    ("Inc", "LLC", "Co-op", "& Sons", "Partners", "of the North, Inc"),
)
_GERMAN = (
    ("Bärwald", "Dörfler", "Grünauer", "Höllriegl", "Kößler", "Mühlbacher", "Pöchtrager"),
    ("Bäckerei", "Gebäudetechnik", "Hörgeräte", "Käserei", "Möbel", "Spenglerei", "Zahnlabor"),
    ("GmbH", "& Söhne OG", "KG", "AG", "Ges.m.b.H.", "e.U."),
)
_GREEK = (
    ("Ελαιώνας", "Γαλάζιο Κύμα", "Πέτρινο Γεφύρι", "Χρυσή Μέλισσα", "Λευκός Πύργος"),
    ("Τρόφιμα", "Ναυτιλιακά", "Φαρμακείο", "Κατασκευές", "Τυπογραφείο"),
    ("Ανώνυμη Εταιρεία", "Ιδιωτική", "και Υιοί", "Συνεταιρισμός"),
)
_CYRILLIC = (
    ("Бяла Черква", "Жълта Роза", "Сини Камъни", "Добро Утро", "Щурец"),
    ("Мебели", "Транспорт", "Пекарна", "Строител", "Аптека"),
    ("ООД", "ЕООД", "АД", "и Синове ООД"),
)
_JAPANESE = (
    ("青葉台", "白鷺", "月見坂", "緑川", "花筏", "霧島野", "若竹"),
    ("製作所", "歯科医院", "物流", "設計事務所", "醸造", "ソフト工房"),
)
_HAN = (("晨曦", "遠山", "綠野", "海風"), ("實業", "物流", "診所"))
_ODD = (
    '"Blauer Hirsch", Gasthof & Pension',
    "@Werk Coaching",
    "=Gleich & Gut, Buchhaltung",
    "+Punkt Optik",
    "-Grad Kältetechnik",
    'The "Old Mill", Printers & Binders',
    "O'Dell, Quist & Ng",
    "Ærø Skærsgård <Design>",
)


def country(home: str, seed: int, counter: int) -> str:
    """A country that a distributor at home in `home` sells into."""
    if counter == 0:
        return home
    return pick(seed, "country", counter, COUNTRIES.get(home, (home,)))


def _joined(separator: str, seed: int, stream: str, counter: int, *lists: tuple[str, ...]) -> str:
    return separator.join(
        pick(seed, f"{stream}/{place}", counter, words) for place, words in enumerate(lists)
    )


def company(in_country: str, seed: int, stream: str, counter: int) -> str:
    """A plausible company name for a country; the same counter always gives the same name."""
    if counter % 13 == 5:  # 13 and the number of odd names share no divisor: each comes up
        return _ODD[counter % len(_ODD)]
    if in_country == "JP":
        name = _joined("", seed, stream, counter, *_JAPANESE)
        return f"株式会社{name}" if draw(seed, f"{stream}/form", counter) % 2 else f"{name}合同会社"
    if in_country == "TW":
        return _joined("", seed, stream, counter, *_HAN) + "股份有限公司"
    lists = {
        "AT": _GERMAN,
        "DE": _GERMAN,
        "CH": _GERMAN,
        "GR": _GREEK,
        "BG": _CYRILLIC,
    }.get(in_country)
    return _joined(" ", seed, stream, counter, *(lists or _LATIN))


def it_company(in_country: str, seed: int, counter: int) -> str:
    """A partner's name: a company name with the trade it is in."""
    trade = {
        "AT": "IT-Betreuung, ",
        "DE": "Systemhaus ",
        "CH": "Informatik ",
        "GR": "Πληροφορική ",
        "BG": "Компютри ",
        "JP": "情報サービス ",
        "TW": "資訊 ",
    }.get(in_country, "Managed IT by ")
    return trade + company(in_country, seed, "partner name", counter)


def distinct(name: str, taken: Counter[str]) -> str:
    """The name, with a number behind it when one that reads the same is taken; takes it."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    key = "".join(c for c in decomposed if not unicodedata.combining(c) and not c.isspace())
    taken[key] += 1
    return name if taken[key] == 1 else f"{name} {taken[key]}"
