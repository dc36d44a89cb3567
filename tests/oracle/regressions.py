"""Vendors on which product and oracle once differed, as small as they got; each says what is right.

Kept in words rather than as a seed, so that they stay what they are when the strategies change.
"""

from __future__ import annotations

from datetime import date

from vendors import UNREADABLE, Distributor, Expected, File, Price, Product, Row, Vendor

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


def heard(on: date, of: str = "c0", serial: str = "s0", system: str = "SFOS") -> Row:
    return {
        "customer_id": of,
        "serial_number": serial,
        "model": "XGS 107",
        "operating_system": system,
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
    spans: tuple[tuple[date, date | None], ...] = ((date(2020, 1, 1), None),) * 2,
) -> Vendor:
    """A distributor for each cut-off day, there in `spans`; a product by user and two by firewall,
    all at 10 EUR.
    """
    return Vendor(
        first=first,
        distributors=tuple(
            Distributor(name, "EUR", ((*span, cutoff),))
            for name, cutoff, span in zip("ab", cutoffs, spans, strict=False)
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
    # R4, R10: a usage row of a product counted by firewall is no evidence. January bills u1, 10.00,
    # and nothing for F1, whose licence is monthly; d9 and s0 are told, 10.00 each. One such row
    # stopped every load of the home, or, with a window of 31 days, billed F1 without a heartbeat.
    "usage_of_a_product_counted_by_firewall": vendor(
        told("partners", JANUARY, partner()),
        told("customers", JANUARY, customer()),
        told(
            "licences",
            JANUARY,
            licence(),
            licence(product="F1", licence_id="l1", serial_number="s0"),
        ),
        told(
            "usage",
            day(1, 31),
            used(day(1, 31)),
            used(day(1, 31), device="d9", product="F1"),
            used(day(1, 20), device="s0", product="F1"),
            used(day(1, 20), of="nobody", device="d8", product="F2"),
            source="eu",
        ),
    ),
    # R8, R10: d0 is at c0 and c1 on the 31st: it counts for c0, the smaller id, 10.00, and both are
    # told, 10.00 each. u2 has d2 too, so nothing depends on d1: told, 0. Nobody was told.
    "device_at_two_customers": vendor(
        told("partners", JANUARY, partner(), partner("pa1")),
        told("customers", JANUARY, customer(), customer("c1", of="pa1")),
        told("licences", JANUARY, licence(), licence(of="c1", licence_id="l1")),
        told(
            "usage",
            day(1, 31),
            used(day(1, 31)),
            used(day(1, 31), of="c1"),
            used(day(1, 20), user="u2", device="d1"),
            used(day(1, 20), user="u3", device="d1", of="c1"),
            used(day(1, 10), user="u2", device="d2"),
            source="eu",
        ),
    ),
    # R3: the cut-off's file came, and none of its rows could be read: a hole for a, whom the source
    # has shown on the 20th, though nobody expects the source. The product issued January, 10.00.
    "file_whose_rows_were_all_refused": vendor(
        told("partners", JANUARY, partner()),
        told("customers", JANUARY, customer()),
        told("licences", JANUARY, licence()),
        told("usage", day(1, 20), used(day(1, 20)), source="eu"),
        told("usage", day(1, 31), {**used(day(1, 31)), "last_active_at": UNREADABLE}, source="eu"),
    ),
    # R1, R14: a begins on 10 January and is there on its cut-off: January is its own, 10.00. The
    # product drafted nothing and called the customer one that nobody knows.
    "distributor_begins_inside_a_month": vendor(
        told("partners", JANUARY, partner()),
        told("customers", JANUARY, customer()),
        told("licences", JANUARY, licence()),
        told("usage", day(1, 31), used(day(1, 5)), source="eu"),
        spans=((day(1, 10), None),),
    ),
    # R25: a ends with January, 10.00, and a second user of it comes to be known in February: no run
    # is left, so 10.00 is unbilled. To the product it went out with a February that never comes.
    "correction_after_the_last_run": vendor(
        told("partners", JANUARY, partner()),
        told("customers", JANUARY, customer()),
        told("licences", JANUARY, licence()),
        told("usage", day(1, 31), used(day(1, 20)), source="eu"),
        told("usage", day(1, 30), used(day(1, 21), user="u2", device="d1"), source="eu", number=1),
        spans=((date(2020, 1, 1), day(1, 31)),),
    ),
    # R14: a (cut-off 25) ends on the 20th and its partner goes on with b (cut-off 31), which bills
    # January, 10.00: a has no cut-off in it. To the product a's 25th decided, and nobody billed.
    "distributor_ends_inside_a_month_and_another_goes_on": vendor(
        told("partners", JANUARY, partner()),
        told("partners", day(1, 26), partner(distributor="b")),
        told("customers", JANUARY, customer()),
        told("licences", JANUARY, licence()),
        told("usage", day(1, 31), used(day(1, 20)), source="eu"),
        cutoffs=(25, None),
        spans=((date(2020, 1, 1), day(1, 20)), (date(2020, 1, 1), None)),
    ),
    # R3, R11: a registry snapshot whose rows were all refused (one key, told twice) is none: the
    # one before stands in, and January is billed, 10.00. To the product the licence was gone.
    "registry_file_whose_rows_were_all_refused": vendor(
        told("partners", JANUARY, partner()),
        told("customers", JANUARY, customer()),
        told("licences", day(1, 1), licence(starts_on="2026-01-02")),
        told("licences", day(1, 2), licence(), licence("trial")),
        told("usage", day(1, 31), used(day(1, 20)), source="eu"),
    ),
    # R10, R11: c0's partner is registered on the 28th, after the cut-off; that of c1 is gone from
    # the 10th on: both unknown_partner in January, as c0 was said to be of nobody known and c1 was
    # billed. From February on c0 is billed, 10.00.
    "partner_registered_after_the_cutoff_or_gone": vendor(
        told("partners", JANUARY, partner("pa1"), partner("pa2")),
        told("partners", day(1, 10), partner("pa2")),
        told("partners", day(1, 28), partner(), partner("pa2")),
        told("customers", JANUARY, customer(), customer("c1", of="pa1"), customer("c2", of="pa2")),
        told("licences", JANUARY, licence(), licence(of="c1", licence_id="l1")),
        told(
            "usage",
            day(1, 25),
            used(day(1, 20)),
            used(day(1, 20), of="c1", device="d1"),
            used(day(1, 20), of="nobody", device="d2"),
            source="eu",
        ),
        told("usage", day(2, 25), used(day(2, 20)), source="eu", number=1),
        cutoffs=(25,),
    ),
    # R2, R14: c0 comes from b to a on the 10th; a, of record by its cut-off of the 25th, bills u1
    # and u2, 20.00. Of the calendar month a shows u2 alone, 1: u1 was active before, u3 after the
    # cut-off. It showed 3, what b's customer did among them.
    "calendar_month_ends_at_the_cutoff_and_stays_with_the_distributor": vendor(
        told("partners", JANUARY, partner(), partner("pb0", "b")),
        told("customers", JANUARY, customer(of="pb0")),
        told("customers", day(1, 10), customer()),
        told("transfers", day(1, 10), approved(day(1, 10), "pb0", "pa0")),
        told("licences", JANUARY, licence()),
        told("usage", day(1, 25), used(day(1, 5)), used(day(1, 12), user="u2", device="d1")),
        told("usage", day(1, 31), used(day(1, 28), user="u3", device="d2"), source="eu"),
        cutoffs=(25, None),
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


def as_systems(on: date, **systems: str) -> list[Row]:
    """What serials sent on a day, each as a system."""
    return [heard(on, serial=serial, system=system) for serial, system in systems.items()]


def re_pointed(*serials: tuple[str, str], at: int) -> list[Row]:
    """Licences of pairs of serials, before (0) or after (1) they went from one to the other."""
    return [
        licence(product="F1", licence_id=f"l{pair[0]}", serial_number=pair[at]) for pair in serials
    ]


_REPLACED = (
    ("s0", "s0n"),
    ("s1", "s1n"),
    ("s2", "s2n"),
    ("s3", "s3n"),
    ("s4", "s4n"),
    ("s5", "s5n"),
)
_STAYS = licence(product="F2", licence_id="l9", serial_number="s5")


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
    # R9: SFOS by any spelling is evidence on its day, whatever came before or after: s0 (SFOS, then
    # UTM 9), s1 (UTM 9, then SFOS), s3, s4 and s5. Not s2, only ever UTM 9, nor s6, of a system
    # nobody knows, until the file of the 10th is replaced in February and says s2 was SFOS on the
    # 9th: 50.00 are billed, 10.00 more are owed.
    "systems_that_change_in_a_window": (
        vendor(
            told("partners", JANUARY, partner()),
            told("customers", JANUARY, customer()),
            told("licences", JANUARY, *licences_of(*(f"s{n}" for n in range(7)))),
            told(
                "heartbeat",
                day(1, 10),
                *as_systems(day(1, 5), s0="SFOS", s1="UTM 9", s2="UTM 9", s3="sfos"),
                source="eu",
            ),
            told(
                "heartbeat",
                day(1, 31),
                *as_systems(day(1, 20), s0="UTM 9", s1="SFOS", s2="UTM 9", s3="XGOS"),
                *as_systems(day(1, 21), s4="SFOS 20.0", s5=" Sfos ", s6="XGOS"),
                source="eu",
            ),
            told(
                "heartbeat",
                day(1, 10),
                *as_systems(day(1, 5), s0="SFOS", s1="UTM 9", s3="sfos"),
                *as_systems(day(1, 9), s2="SFOS"),
                source="eu",
                number=1,
            ),
        ),
        {("2026-01", "a"): "60.00"},
    ),
    # R9: six licences go to another serial on the 11th. Of s0 and s0n both are active: the later
    # counts. s1n is silent: s1 counts; s2 is silent: s2n does; s3 and s3n are: neither. s4n sends
    # as UTM 9 only, no evidence: s4 counts. s5 keeps a licence of its own, for F2, and s5n has the
    # other. One, one, one, none, one and two at 10.00.
    "licences_that_go_to_new_hardware": (
        vendor(
            told("partners", JANUARY, partner()),
            told("customers", JANUARY, customer()),
            told("licences", JANUARY, *re_pointed(*_REPLACED, at=0), _STAYS),
            told("licences", day(1, 11), *re_pointed(*_REPLACED, at=1), _STAYS),
            told(
                "heartbeat",
                day(1, 31),
                *as_systems(day(1, 20), s0="SFOS", s0n="SFOS", s1="SFOS", s2n="SFOS"),
                *as_systems(day(1, 21), s4="SFOS", s4n="UTM 9", s5="SFOS", s5n="SFOS"),
                source="eu",
            ),
        ),
        {("2026-01", "a"): "60.00"},
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
