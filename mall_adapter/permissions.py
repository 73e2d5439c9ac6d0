"""Who may do what in the back office: data, so that it can be read at a glance."""

from __future__ import annotations

from mall_adapter.errors import NotPermitted
from storage import Actor, Role

MAY: dict[str, frozenset[Role]] = {
    "bind": frozenset({Role.OPERATOR, Role.SERVICE}),
    "place_order": frozenset({Role.OPERATOR, Role.SERVICE}),
    "pay_order": frozenset({Role.OPERATOR, Role.SERVICE}),
    "ship": frozenset({Role.OPERATOR, Role.SUPPLIER, Role.SERVICE}),
    "parcel_moved": frozenset({Role.OPERATOR, Role.SUPPLIER, Role.SERVICE}),
    "presale_moved": frozenset({Role.OPERATOR, Role.SUPPLIER, Role.SERVICE}),
    "advance_ticket": frozenset({Role.OPERATOR, Role.SUPPLIER, Role.SERVICE}),
}


def check(actor: Actor, command: str) -> None:
    """Raises NotPermitted."""
    if actor.role not in MAY[command]:
        raise NotPermitted(f"{actor.role} may not {command}")
