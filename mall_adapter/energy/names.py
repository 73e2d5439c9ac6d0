"""What persons are called in the ledger and on the ways of cards."""

from __future__ import annotations

_CUSTOMER, _STAFF = "customer:", "staff:"


def customer(customer_id: str) -> str:
    return f"{_CUSTOMER}{customer_id}"


def customer_id_of(person: str) -> str | None:
    return person.removeprefix(_CUSTOMER) if person.startswith(_CUSTOMER) else None


def earns(person: str) -> bool:
    """Whoever works here and is no customer has no ledger."""
    return not person.startswith(_STAFF)
