"""Licences and transfers: what the crm has on paper about the world's customers.

Decided once, from the customers' roles and dates. Firewalls license themselves in `firewalls`.
"""

from __future__ import annotations

from dataclasses import replace

from ingest.simulate.references import FAR
from ingest.simulate.world import Customer, Licence, Transfer, World


def do_paperwork(world: World) -> None:
    """Add every licence but the firewalls', and every transfer, to the world."""
    for customer in world.customers:
        for product in customer.products:
            world.licences += _licences(world, customer, product)
    _add_transfers(world)


def _term_years(world: World, licence: Licence, counter: int) -> list[Licence]:
    """A term licence and its yearly renewals, each shown a fortnight before it starts."""
    first = world.first_day - 30 - world.draw("term start", counter, 300)
    return [
        replace(
            licence,
            licence_id=f"{licence.licence_id}-Y{year + 1}",
            starts_on=first + 365 * year,
            ends_on=first + 365 * year + 364,
            shown_from=-FAR if year == 0 else first + 365 * year - 14,
        )
        for year in range(4)
    ]


def licence_of(customer: Customer, product: str, starts_on: int) -> Licence:
    """A partner-owned monthly licence from a day on."""
    licence_id = f"L{customer.index + 1:06d}-{product}"
    return Licence(licence_id, customer.index, product, "monthly", starts_on)


def _converted(licence: Licence, trial_from: int, monthly_from: int) -> list[Licence]:
    trial = replace(
        licence,
        licence_id=f"{licence.licence_id}-T",
        licence_type="trial",
        starts_on=trial_from,
        ends_on=monthly_from - 1,
        planned_end=trial_from + 29,
        known_from=monthly_from,
        shown_from=trial_from,
    )
    monthly = replace(licence, starts_on=monthly_from, shown_from=monthly_from)
    return [trial, monthly]


def _licences(world: World, customer: Customer, product: str) -> list[Licence]:
    role, begins = customer.role, customer.service_from
    licence = licence_of(customer, product, begins)
    if role in ("converts_on_3rd", "trial_then_monthly", "newcomer"):
        lead = {"converts_on_3rd": 20, "trial_then_monthly": 25}.get(role, 21)
        return _converted(licence, begins, begins + lead)
    if role in ("trial_lapses", "trial_runs"):
        ends = customer.service_to
        return [replace(licence, licence_type="trial", ends_on=ends, shown_from=begins)]
    if role == "trial_to_term":
        trial, term = _converted(licence, begins, begins + 20)
        term = replace(term, licence_type="term", quantity=customer.devices + 10)
        return [trial, replace(term, ends_on=term.starts_on + 364)]
    if role == "cancelled_on_2nd":
        ends = customer.service_to
        return [replace(licence, ends_on=ends, known_from=ends)]
    servers_on_term = role == "regular" and world.draw("mixed", customer.index, 10) == 0
    if role in ("term_partner", "term_customer") or (servers_on_term and product.startswith("SV")):
        owner = "customer" if role == "term_customer" else "partner"
        bought = customer.devices + 10
        term = replace(licence, licence_type="term", owner=owner, quantity=bought)
        return _term_years(world, term, customer.index)
    return [licence]


def _add_transfers(world: World) -> None:
    """A finished transfer of each distributor's first three regular customers, and a new one."""
    for distributor in range(len(world.seeds.distributors)):
        flex = [
            place
            for place, partner in enumerate(world.partners)
            if partner.distributor == distributor and partner.programme == "connect_flex"
        ]
        if len(flex) < 2:
            continue
        for customer in world.role("regular", distributor)[:3]:
            before = flex[(flex.index(customer.partner) + 1) % len(flex)]
            on = world.first_day - 40 - world.draw("old transfer", customer.index, 200)
            add_transfer(world, customer.index, before, customer.partner, on, (9, 6, 4))
        for customer in world.role("transferred", distributor):
            customer.moved_to = flex[(flex.index(customer.partner) + 1) % len(flex)]
            customer.moved_on = world.month_day(1, 12 + 3 * (distributor % 3))
            moved = (customer.index, customer.partner, customer.moved_to, customer.moved_on)
            add_transfer(world, *moved, (7, 5, 2))


def add_transfer(
    world: World,
    customer: int,
    before: int,
    after: int,
    effective_on: int,
    days_ahead: tuple[int, int, int],
) -> None:
    """Record a transfer whose approvals came so many days ahead (-FAR: never)."""
    current, new, own = (effective_on - days for days in days_ahead)
    world.transfers.append(
        Transfer(
            transfer_id=f"T{len(world.transfers) + 1:05d}",
            customer=customer,
            from_partner=before,
            to_partner=after,
            effective_on=effective_on,
            approved_on=(current, new, own),
            shown_from=effective_on - 9,
        )
    )
