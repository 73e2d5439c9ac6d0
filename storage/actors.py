"""Who acts: what every command is told, and every event keeps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    CUSTOMER = "customer"
    SALES = "sales"
    SUPPLIER = "supplier"
    OPERATOR = "operator"
    TRAINER = "trainer"
    SERVICE = "service"  # a part of the house, or another program


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody in one of their roles. Roles come from the house's own records, never from what somebody types."""

    role: Role
    principal_id: str | None = None  # None: a visitor whom the house does not know
    supplier_id: str | None = None  # for whom a supplier acts
    channel: str | None = None  # by which they reach the house
