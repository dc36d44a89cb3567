"""Numbers that carry their own proof: IBAN, VAT numbers, electronic addresses, company registers.

Which number is well formed is what python-stdnum says; here is which of its checks goes with what.
"""

from __future__ import annotations

import re
from types import ModuleType

from stdnum import ean, iban, lei, util
from stdnum.au import abn
from stdnum.be import vat as be_vat
from stdnum.de import leitweg
from stdnum.dk import cvr
from stdnum.eu import vat
from stdnum.fi import alv
from stdnum.fr import siren, siret
from stdnum.is_ import kennitala
from stdnum.it import iva
from stdnum.jp import cn
from stdnum.no import orgnr as no_orgnr
from stdnum.se import orgnr as se_orgnr
from stdnum.sg import uen

from ingest.code_lists import ADDRESS_SCHEMES, COUNTRIES, meant_country

# Which countries write something else than their code before a VAT number.
_VAT_PREFIXES = {"GR": ("EL",), "GB": ("GB", "XI")}
# Where the rules of Peppol name the register (DK-R-014, IS-R-002, NL-R-003).
_REGISTERS = {"DK": ("0184",), "IS": ("0196",), "NL": ("0106", "0190")}
_ADDRESS = re.compile(r"([0-9A-Z]{2,4}):(\S+)")
_SEPARATOR = re.compile(r"[\s.-]")

# What an address of a scheme looks like, and the check of its digits where the library has one.
_VAT_SCHEMES = {
    "9910": "HU",
    "9914": "AT",
    "9920": "ES",
    "9925": "BE",
    "9926": "BG",
    "9928": "CY",
    "9929": "CZ",
    "9930": "DE",
    "9931": "EE",
    "9933": "EL",
    "9934": "HR",
    "9935": "IE",
    "9937": "LT",
    "9938": "LU",
    "9939": "LV",
    "9943": "MT",
    "9944": "NL",
    "9945": "PL",
    "9946": "PT",
    "9947": "RO",
    "9949": "SI",
    "9950": "SK",
    "9957": "FR",
}
_SCHEMES: dict[str, tuple[str, str, ModuleType | None]] = {
    "0002": ("9 digits of SIREN", r"[0-9]{9}", siren),
    "0007": ("10 digits of a Swedish organisation number", r"[0-9]{10}", se_orgnr),
    "0009": ("14 digits of SIRET", r"[0-9]{14}", siret),
    "0060": ("9 digits of DUNS", r"[0-9]{9}", None),
    "0088": ("13 digits of a GLN", r"[0-9]{13}", ean),
    "0106": ("8 digits of the Dutch trade register", r"[0-9]{8}", None),
    "0151": ("11 digits of an Australian business number", r"[0-9]{11}", abn),
    "0184": ("DK and 8 digits of CVR", r"(?:DK)?[0-9]{8}", cvr),
    "0188": ("13 digits of a Japanese corporate number", r"[0-9]{13}", cn),
    "0190": ("20 digits of OIN", r"[0-9]{20}", None),
    "0192": ("9 digits of a Norwegian organisation number", r"[0-9]{9}", no_orgnr),
    "0195": ("a UEN of Singapore", r".+", uen),
    "0196": ("10 digits of a kennitala", r"[0-9]{10}", kennitala),
    "0199": ("20 characters of LEI", r"[0-9A-Z]{20}", lei),
    "0204": ("a Leitweg-ID", r".+", leitweg),
    "0208": ("10 digits of a Belgian enterprise number", r"[0-9]{10}", be_vat),
    "0211": ("IT and 11 digits of a partita IVA", r"IT[0-9]{11}", iva),
    "0213": ("FI and 8 digits of a Finnish VAT number", r"FI[0-9]{8}", alv),
    "0221": ("T and 13 digits of a Japanese corporate number", r"T[0-9]{13}", cn),
    "EM": ("an e-mail address", r"[^@]+@[^@]+", None),
    **{
        scheme: (f"a VAT number that begins with {prefix}", rf"{prefix}.+", vat)
        for scheme, prefix in _VAT_SCHEMES.items()
    },
}

# What is wrong with a text, and what to do; None where nothing is.
Fault = tuple[str, str] | None


def country_fault(text: str) -> Fault:
    """Not on the list of ISO 3166-1 alpha-2."""
    if text in COUNTRIES:
        return None
    meant = meant_country(text)
    return (
        "is no country code of ISO 3166-1 (two capital letters)",
        f"Write {meant}, if that is meant" if meant else "Write a code of the list, as in AT",
    )


def iban_fault(text: str) -> Fault:
    """Not the length and shape of its country, or its check digits (mod 97) contradict it."""
    return _spelling(text) or (
        None
        if iban.is_valid(text)
        else (
            "is no IBAN: its check digits or its length are wrong",
            "Copy it from a paper of the bank",
        )
    )


def vat_fault(tax_id: str, country: str) -> Fault:
    """A tax number with its country before it goes out as VAT number, and has to be one.

    Other tax numbers, and countries the library does not know, are nobody's to judge.
    """
    prefixes = _VAT_PREFIXES.get(country, (country,))
    module = util.get_cc_module(country, "vat")
    if module is None or not tax_id.upper().startswith(prefixes):
        return None
    # Some modules of the library take the country as part of the number, some do not.
    if module.is_valid(tax_id) or module.is_valid(tax_id[2:]):
        return _spelling(tax_id)
    return (
        f"is no VAT number of {country}: its check digits or its length are wrong",
        "Correct it, or leave out the country if it is another tax number",
    )


def address_fault(text: str) -> Fault:
    """Not `SCHEME:ADDRESS` with a scheme of the EAS list and an address that the scheme allows."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return (
            "is not an electronic address with its scheme",
            "Write SCHEME:ADDRESS, as in 9944:NL000000024B01",
        )
    scheme, address = found.groups()
    if scheme not in ADDRESS_SCHEMES:
        return (
            f"has the scheme {scheme}, which is not on the EAS list of electronic addresses",
            "Ask the owner for the address in Peppol",
        )
    if scheme not in _SCHEMES:
        return None
    words, pattern, module = _SCHEMES[scheme]
    # Electronic addresses do not tell case apart.
    upper = address.upper()
    number = upper.removeprefix("T") if scheme == "0221" else upper
    if re.fullmatch(pattern, upper) and (module is None or module.is_valid(number)):
        return None
    return (
        f"is no address of scheme {scheme}: {words}, with the right check digits",
        "Ask the owner for the address in Peppol",
    )


def registration_fault(text: str, country: str) -> Fault:
    """A number of a company register, with or without the scheme (ISO 6523) it belongs to."""
    found = _ADDRESS.fullmatch(text)
    scheme = found[1] if found else None
    wanted = _REGISTERS.get(country)
    if wanted and scheme not in wanted:
        return (
            f"has not the scheme of the register of {country}",
            f"Write SCHEME:NUMBER with the scheme {' or '.join(wanted)}",
        )
    if scheme and not scheme.startswith("0"):
        return (
            f"has the scheme {scheme}, which is none of a company register",
            "Write SCHEME:NUMBER with a scheme of ISO 6523, as in 0184:DK13585628, or the number "
            "alone",
        )
    return address_fault(text) if found else None


def _spelling(text: str) -> Fault:
    """E-invoices carry the bare number."""
    bare = _SEPARATOR.sub("", text).upper()
    return None if bare == text else ("has separators or small letters", f"Write {bare}")
