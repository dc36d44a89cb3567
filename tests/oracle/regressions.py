"""Vendors on which product and oracle once differed, as small as they got; each says what is right.

Kept in words rather than as a seed, so that they stay what they are when the strategies change.
"""

from __future__ import annotations

from datetime import date

from vendors import Distributor, Expected, File, Price, Product, Row, Vendor

JANUARY, PRICE = date(2026, 1, 1), ((1, None, "10"),)


def day(month: int, of_month: int) -> date:
    return date(2026, month, of_month)


def partner(name: str = "pa0", distributor: str = "a") -> Row:
    return {
        "partner_id": name,
        "partner_name": name,
        "distributor_id": distributor,
        "country": "AT",
        "programme": "connect_flex",
        "registered_on": "2016-01-01",
    }


def customer(name: str = "c0", of: str = "pa0", status: str = "active") -> Row:
    return {"customer_id": name, "customer_name": name, "partner_id": of, "status": status}


def licence(kind: str = "monthly", product: str = "U0", of: str = "c0", **more: str) -> Row:
    return {
        "licence_id": "l0",
        "customer_id": of,
        "product_code": product,
        "licence_type": kind,
        "owner": "partner",
        "starts_on": "2020-01-01",
        **more,
    }


def used(
    on: date, of: str = "c0", user: str = "u1", device: str = "d0", product: str = "U0"
) -> Row:
    return {
        "customer_id": of,
        "product_code": product,
        "device_id": device,
        "user_id": user,
        "last_active_at": f"{on}T12:00:00Z",
    }


def heard(on: date, of: str = "c0", serial: str = "s0") -> Row:
    return {
        "customer_id": of,
        "serial_number": serial,
        "model": "XGS 107",
        "operating_system": "SFOS",
        "firmware_version": "20.0.1",
        "last_heartbeat_at": f"{on}T12:00:00Z",
    }


def approved(on: date, before: str, after: str, of: str = "c0") -> Row:
    return {
        "transfer_id": "t0",
        "customer_id": of,
        "from_partner_id": before,
        "to_partner_id": after,
        "effective_on": str(on),
        "current_partner_approved_on": str(on),
        "new_partner_approved_on": str(on),
        "customer_approved_on": str(on),
    }


def told(feed: str, on: date, *rows: Row, source: str = "crm", number: int = 0) -> File:
    return File(number, feed, on, source, rows)


def vendor(
    *files: File,
    first: date = JANUARY,
    cutoffs: tuple[int | None, ...] = (None,),
    expected: tuple[Expected, ...] = (),
) -> Vendor:
    """A distributor for each cut-off day; a product by user and two by firewall, all at 10 EUR."""
    return Vendor(
        first=first,
        distributors=tuple(
            Distributor(name, "EUR", ((date(2020, 1, 1), None, cutoff),))
            for name, cutoff in zip("ab", cutoffs, strict=False)
        ),
        products=(Product("U0", "user"), Product("F1", "firewall"), Product("F2", "firewall")),
        prices=tuple(Price(code, "EUR", "volume", PRICE) for code in ("U0", "F1", "F2")),
        files=files,
        expected=expected,
    )


REGRESSIONS: dict[str, Vendor] = {
    # R11: "of a key in two, the later snapshot". From the 10th the second source says monthly, and
    # its snapshot is later than the first's: January bills u1, 10.00. The product saw a first
    # snapshot only from the next snapshot of either source on: not billed, trial.
    "second_source_speaks_from_its_first_snapshot": vendor(
        told("partners", JANUARY, partner()),
        told("customers", JANUARY, customer()),
        told("licences", JANUARY, licence("trial")),
        told("licences", day(1, 10), licence("monthly"), source="crm2"),
        told("usage", day(1, 31), used(day(1, 31)), source="eu"),
    ),
    # R16: `UK` is no country of ISO 3166-1 and may be the excluded one misspelt: c0 is not billed,
    # and its distributor held, until somebody says. The product billed 10.00.
    "country_that_is_none": vendor(
        told("partners", JANUARY, {**partner(), "country": "UK"}),
        told("customers", JANUARY, customer()),
        told("licences", JANUARY, licence()),
        told("usage", day(1, 31), used(day(1, 31)), source="eu"),
    ),
    # R11, for customers: closed from 5 January on by the later word, so nothing is in effect
    # in February: not billed, unlicensed. The product billed February, 10.00.
    "second_source_closes_a_customer": vendor(
        told("partners", JANUARY, partner()),
        told("customers", JANUARY, customer()),
        told("customers", day(1, 5), customer(status="closed"), source="crm2"),
        told("licences", JANUARY, licence()),
        told("usage", day(2, 28), used(day(2, 20)), source="eu", number=1),
    ),
    # R3: a hole is healed by a later file of the same feed and source dated up to the cut-off,
    # whether or not one was expected that day. The product held February for 30 January.
    "unexpected_file_heals_too": vendor(
        told("partners", JANUARY, partner()),
        told("customers", JANUARY, customer()),
        told("licences", JANUARY, licence()),
        told("usage", day(1, 29), used(day(1, 20)), source="eu"),
        told("usage", day(2, 28), used(day(2, 20)), source="eu", number=1),
        cutoffs=(28,),
        expected=(Expected("usage", "eu", JANUARY, day(1, 30)),),
    ),
    # R10, R14: on the cut-off nobody knew the customer yet, and it has one distributor only: its
    # use is an orphan's in January, not `other_partner_of_record` (another distributor bills it).
    "customer_first_seen_after_the_cutoff": vendor(
        told("partners", JANUARY, partner()),
        told("customers", JANUARY, customer("c1")),
        told("customers", day(1, 28), customer("c1"), customer()),
        told("licences", JANUARY, licence()),
        told("usage", day(1, 25), used(day(1, 20)), source="eu"),
        cutoffs=(25,),
    ),
    # R14, R21: b has the customer until the 24th of March, a (cut-off 25) is of record. The
    # firewall was heard in b's window: active there, `other_partner_of_record`. Because its term
    # licence is met with in a's period, the product lists it in neither.
    "licensed_firewall_of_another_distributors_customer": vendor(
        told("partners", JANUARY, partner(), partner("pb0", "b")),
        told("customers", JANUARY, customer(of="pb0")),
        told("customers", day(3, 25), customer(of="pa0"), number=2),
        told("transfers", day(3, 25), approved(day(3, 25), "pb0", "pa0"), number=2),
        told("licences", JANUARY, licence("term", "F1", serial_number="s0", quantity="1")),
        told("heartbeat", day(3, 31), heard(day(3, 27)), source="eu", number=2),
        cutoffs=(25, None),
    ),
    # R11, R14: a snapshot dated after the cut-off does not touch the period. The second source's
    # first word, of 10 February, carried back says pa1 before 20 January, and so makes a change to
    # pa0 on that day; in January nobody could know. January bills u1, 10.00, and nothing holds it.
    # The product held January for a transfer without approvals.
    "later_first_snapshot_makes_no_earlier_transfer": vendor(
        told("partners", JANUARY, partner(), partner("pa1")),
        told("customers", JANUARY, customer("c1")),
        told("customers", day(1, 20), customer("c1"), customer()),
        told("licences", JANUARY, licence()),
        told("usage", day(1, 31), used(day(1, 31)), source="eu"),
        told("customers", day(2, 10), customer("c1"), customer(of="pa1"), number=1),
        told("customers", day(2, 10), customer(of="pa1"), source="crm2", number=1),
        told("transfers", day(2, 10), approved(day(2, 10), "pa0", "pa1"), number=1),
    ),
}

# The same of homes with device_user_attribution = any, in the leap year they are played in.
LEAP = date(2024, 1, 1)
REGRESSIONS_ANY: dict[str, Vendor] = {
    # R6: a device shared by two users counts both, 20.00. The product counted the device twice in
    # activity.customer_usage, so that one of its own tests stopped every load of the home.
    "device_of_two_users": vendor(
        told("partners", LEAP, partner()),
        told("customers", LEAP, customer()),
        told("licences", LEAP, licence()),
        told(
            "usage",
            date(2024, 1, 31),
            used(date(2024, 1, 20)),
            used(date(2024, 1, 21), user="u2"),
            source="eu",
        ),
        first=LEAP,
    ),
}


def in_pair(row: Row, cluster: str, mode: str = "active-passive") -> Row:
    return {**row, "cluster_id": cluster, "cluster_mode": mode}


def licences_of(*serials: str, product: str = "F1") -> list[Row]:
    return [
        licence(product=product, licence_id=f"l{serial}", serial_number=serial)
        for serial in serials
    ]


# What made-up vendors seldom are. Beside each what it bills by hand: (period, distributor) → EUR.
RARE: dict[str, tuple[Vendor, dict[tuple[str, str], str]]] = {
    # R11: closed from the day after `closed` first appears: in effect on the first of February, so
    # February is billed. In March nothing is in effect.
    "closed_on_the_first_day_of_a_period": (
        vendor(
            told("partners", JANUARY, partner()),
            told("customers", JANUARY, customer()),
            told("licences", JANUARY, licence()),
            told("customers", day(2, 1), customer(status="closed"), number=1),
            told("usage", day(2, 28), used(day(2, 20)), source="eu", number=1),
            told("usage", day(3, 31), used(day(3, 20)), source="eu", number=2),
        ),
        {("2026-02", "a"): "10.00", ("2026-03", "a"): "0"},
    ),
    # R11: monthly before term before trial; here there is no monthly one.
    "trial_beside_term": (
        vendor(
            told("partners", JANUARY, partner()),
            told("customers", JANUARY, customer()),
            told(
                "licences",
                JANUARY,
                licence("trial"),
                licence("term", licence_id="l1", quantity="3"),
            ),
            told("usage", day(1, 31), used(day(1, 31)), source="eu"),
        ),
        {("2026-01", "a"): "0"},
    ),
    # R11: of a key in two snapshots of one day the smaller source name: "crm" before "crm2" says
    # monthly, "a-crm" before "crm" says trial.
    "two_sources_of_one_day": (
        vendor(
            told("partners", JANUARY, partner()),
            told("customers", JANUARY, customer(), customer("c1")),
            told("licences", JANUARY, licence(), licence(of="c1", licence_id="l1")),
            told("licences", JANUARY, licence("trial"), source="crm2"),
            told("licences", JANUARY, licence("trial", of="c1", licence_id="l1"), source="a-crm"),
            told(
                "usage",
                day(1, 31),
                used(day(1, 31)),
                used(day(1, 31), of="c1", device="d1"),
                source="eu",
            ),
        ),
        {("2026-01", "a"): "10.00"},
    ),
    # R9: k1 counts once, by s1, heard last; k2 once, by s2, as both were last heard on one day;
    # both members of k3. Four at 10.00.
    "pairs_of_both_modes": (
        vendor(
            told("partners", JANUARY, partner()),
            told("customers", JANUARY, customer()),
            told("licences", JANUARY, *licences_of("s0", "s1", "s2", "s3", "s4", "s5")),
            told(
                "heartbeat",
                day(1, 31),
                in_pair(heard(day(1, 20), serial="s0"), "k1"),
                in_pair(heard(day(1, 25), serial="s1"), "k1"),
                in_pair(heard(day(1, 25), serial="s3"), "k2"),
                in_pair(heard(day(1, 25), serial="s2"), "k2"),
                in_pair(heard(day(1, 20), serial="s4"), "k3", "active-active"),
                in_pair(heard(day(1, 25), serial="s5"), "k3", "active-active"),
                source="eu",
            ),
        ),
        {("2026-01", "a"): "40.00"},
    ),
    # R9: s0's licences follow each other, the latest counts; s1's overlap, each product counts.
    "two_licences_on_a_serial": (
        vendor(
            told("partners", JANUARY, partner()),
            told("customers", JANUARY, customer()),
            told(
                "licences",
                JANUARY,
                licence(product="F1", serial_number="s0", ends_on="2026-01-15"),
                licence(product="F2", licence_id="l1", serial_number="s0", starts_on="2026-01-16"),
                *licences_of("s1"),
                licence(product="F2", licence_id="l3", serial_number="s1"),
            ),
            told(
                "heartbeat",
                day(1, 31),
                heard(day(1, 10)),
                heard(day(1, 31), serial="s1"),
                source="eu",
            ),
        ),
        {("2026-01", "a"): "30.00"},
    ),
    # R14: a (cut-off 25) had the customer until the 9th, so its cut-off is the earliest: b is of
    # record, and its partner's programme is read on the 25th, two days before it becomes flex.
    "programme_on_the_day_of_record": (
        vendor(
            told("partners", JANUARY, partner(), {**partner("pb0", "b"), "programme": "connect"}),
            told("partners", day(1, 27), partner(), partner("pb0", "b")),
            told("customers", JANUARY, customer()),
            told("customers", day(1, 10), customer(of="pb0")),
            told("transfers", day(1, 10), approved(day(1, 10), "pa0", "pb0")),
            told("licences", JANUARY, licence()),
            told("usage", day(1, 31), used(day(1, 20)), source="eu"),
            cutoffs=(25, None),
        ),
        {("2026-01", "a"): "0", ("2026-01", "b"): "0"},
    ),
    # R14: without the customer's approval the transfer holds both distributors.
    "transfer_with_two_of_three_approvals": (
        vendor(
            told("partners", JANUARY, partner(), partner("pb0", "b")),
            told("customers", JANUARY, customer()),
            told("customers", day(1, 10), customer(of="pb0")),
            told(
                "transfers",
                day(1, 10),
                {**approved(day(1, 10), "pa0", "pb0"), "customer_approved_on": ""},
            ),
            told("licences", JANUARY, licence()),
            told("usage", day(1, 31), used(day(1, 20)), source="eu"),
            cutoffs=(25, None),
        ),
        {},
    ),
}
