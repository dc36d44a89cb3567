"""How a document's words become the bytes of a PDF: Typst, its fonts, and text that it can print.

What a page says is `papers`, how it looks is `templates`; nothing here knows a document.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import typst
from fontTools.ttLib import TTFont

_TEMPLATES = Path(__file__).with_name("templates")
_FONTS = Path(__file__).with_name("fonts")
# In the order in which a template asks for them. Han characters are drawn as the reader's country
# draws them; the faces of the collection have the same characters.
_FILES = (
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansArabic-Regular.ttf",
    "NotoSansHebrew-Regular.ttf",
)
_HAN = {"CN": "SC", "SG": "SC", "TW": "TC", "HK": "HK", "MO": "HK", "KR": "KR"}
# PDF/A-3: to be kept, and may carry the electronic invoice. Level a and PDF/UA: can be read aloud.
_STANDARDS: Any = ["a-3a", "ua-1"]
# Zero width non-joiner and joiner, which Persian is written with; and the selectors of a variant of
# the character before them, which is drawn plain where a font has no variant.
_JOINERS = (0x200C, 0x200D)
_VARIANTS = frozenset((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
LONGEST_TEXT = 2_000
_CUT = " [cut here: the JSON and CSV files have the whole text]"


def pdf(
    template: str,
    data: Mapping[str, Any],
    *,
    on: date,
    country: str | None = None,
    attachments: Mapping[str, bytes] | None = None,
) -> bytes:
    """The PDF that `templates/<template>.typ` makes of `data`; the same bytes every time.

    Texts reach the template as data, never as Typst, so a name is what it looks like. `on` is the
    date of the file; `country` of the reader decides how Han characters are drawn. `attachments`
    are XML files in UTF-8, embedded as the machine-readable alternative of the page.
    """
    families = ["Noto Sans", f"Noto Sans CJK {_HAN.get(country or '', 'JP')}"]
    inputs = {
        "data": json.dumps(_printable(data), ensure_ascii=False),
        "fonts": json.dumps([*families, "Noto Sans Arabic", "Noto Sans Hebrew"]),
        "date": json.dumps([on.year, on.month, on.day]),
        "attachments": json.dumps(
            {name: body.decode("utf-8") for name, body in sorted((attachments or {}).items())}
        ),
    }
    made = _compiler(template).compile(
        format="pdf",
        sys_inputs=inputs,
        pdf_standards=_STANDARDS,
    )
    assert isinstance(made, bytes), "without an output path Typst returns the file"
    return made


@functools.cache
def _compiler(template: str) -> typst.Compiler:
    """Keeps the template parsed and the fonts open for the next document."""
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[_FONTS]
    )
    return typst.Compiler(
        _TEMPLATES / f"{template}.typ",
        root=_TEMPLATES,
        font_paths=fonts,
        ignore_system_fonts=True,
    )


def _printable(value: Any) -> Any:
    """`value` with every text as `printable` leaves it."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {key: _printable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(one) for one in value]
    return value


def printable(text: str) -> str:
    """`text` with U+FFFD for what the fonts have not, for control characters and for half ones.

    Also for marks that turn the writing direction around, which would show a name as another.
    PDF/A has no place for a character without a glyph. A text longer than LONGEST_TEXT is cut and
    says so.
    """
    if text.isascii() and text.isprintable() and len(text) <= LONGEST_TEXT:
        return text
    if len(text) > LONGEST_TEXT:
        text = text[:LONGEST_TEXT] + _CUT
    return "".join(_glyphs(text))


def _glyphs(text: str) -> Iterator[str]:
    """A combining mark is printed if the font of the character before it has it.

    The third on one character is not: a tower of them would cover the lines above.
    """
    of_base: frozenset[int] = frozenset()
    marks = 0
    for character in text:
        code = ord(character)
        if character == "\n":
            of_base = frozenset()
            yield character
        elif code in _JOINERS or unicodedata.category(character) in ("Mn", "Mc", "Me"):
            marks += 1
            is_drawn = code in of_base or (of_base and code in _VARIANTS)
            yield character if is_drawn and marks <= 2 else "\ufffd"
        else:
            marks = 0
            has_it = (font for font in _coverage() if code in font)
            of_base = next(has_it, frozenset())
            yield character if of_base and _is_shown(character) else "\ufffd"


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


@functools.cache
def _coverage() -> tuple[frozenset[int], ...]:
    """The characters of each font."""
    return tuple(
        frozenset(TTFont(_FONTS / name, fontNumber=0, lazy=True).getBestCmap()) for name in _FILES
    )
