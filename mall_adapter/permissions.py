"""Who may do what in the back office and at the desk: one table, so that it can be read at a glance."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.errors import NotPermitted
from mall_adapter.values import TicketStatus
from storage import Actor, Role

_HOUSE = frozenset({Role.OPERATOR, Role.SERVICE})
_SUPPLY = _HOUSE | {Role.SUPPLIER}  # a supplier only with what is their own
_DESK = frozenset({Role.OPERATOR})
_TEACHING = frozenset({Role.OPERATOR, Role.TRAINER})

MAY: dict[str, frozenset[Role]] = {
    # the back office
    "bind": _HOUSE,
    "merging": _DESK,
    "merge_customers": _DESK,
    "place_order": _HOUSE,
    "pay_order": _HOUSE,
    "stock": _SUPPLY,
    "receive_stock": _SUPPLY,
    "count_stock": _SUPPLY,
    "adjust_stock": _SUPPLY,
    "sync_stock": _SUPPLY,
    "prices": _SUPPLY,
    "set_price": _SUPPLY,
    "ship": _SUPPLY,
    "parcel_moved": _SUPPLY,
    "presale_moved": _SUPPLY,
    "advance_ticket": _SUPPLY,
    "receive_goods": _SUPPLY,
    "refund": _HOUSE,
    # reading in the back office
    "waiting": _SUPPLY,
    "tickets": _SUPPLY,
    "ticket": _SUPPLY,
    "orders": _SUPPLY,
    "order": _SUPPLY,
    "suppliers": _HOUSE,
    # the desk
    "claim": _DESK,
    "say": _DESK,
    "hand_back": _DESK,
    "settle_complaint": _DESK,
    "settle": _TEACHING,
    "look_into": _TEACHING,
    # what came, and what could not go out
    "view_media": _DESK,
    "send_again": _DESK,
    "offers": _DESK,
    # what goes to many
    "broadcast": _DESK,
    # smart cards
    "make_card": frozenset({Role.SALES}),
    # in the chat of one's own cards and leads, and of the people whom one manages (leads/owners.py)
    "card_report": frozenset({Role.SALES, Role.OPERATOR}),
    "reach_lead": frozenset({Role.SALES, Role.OPERATOR}),
    # energy
    "judge_energy": _DESK,
    # the house
    "grant": _HOUSE,
    "revoke": _DESK,
    "appoint": _DESK,
    "look_up": _DESK,
}

SUPPLIERS_STEPS = frozenset({TicketStatus.GOODS_RECEIVED, TicketStatus.EXCHANGED})
"""What a supplier may say of a ticket: that goods have come, or gone out. Whether money goes back, the mall says."""

_SUPPLIED: dict[str, Select[str, str]] = {
    "product": select(models.Product.id, models.Product.supplier_id),
    "ticket": select(models.TicketLine.ticket_id.label("id"), models.Product.supplier_id)
    .join(models.OrderLine, models.OrderLine.id == models.TicketLine.order_line_id)
    .join(models.Sku, models.Sku.id == models.OrderLine.sku_id)
    .join(models.Product, models.Product.id == models.Sku.product_id),
}
"""By kind: ids, and the suppliers to whom what has the id belongs, wholly or in part."""


def check(actor: Actor, command: str) -> None:
    """Raises NotPermitted, for a supplier's person of no supplier, too."""
    if actor.role not in MAY[command] or (actor.role is Role.SUPPLIER and actor.supplier_id is None):
        raise NotPermitted(f"{actor.role} may not {command}")


def may_say(actor: Actor, to: TicketStatus) -> bool:
    """Whether this role takes this step of a ticket."""
    return actor.role is not Role.SUPPLIER or to in SUPPLIERS_STEPS


def check_step(actor: Actor, to: TicketStatus) -> None:
    """Raises NotPermitted for a step of a ticket that this role does not take."""
    if not may_say(actor, to):
        raise NotPermitted(f"{actor.role} may not say that a ticket is {to}")


def owns(actor: Actor, supplier_id: str) -> bool:
    """Whether they may touch what is this supplier's."""
    return actor.role is not Role.SUPPLIER or actor.supplier_id == supplier_id


def check_owner(actor: Actor, supplier_id: str) -> None:
    """Raises NotPermitted."""
    if not owns(actor, supplier_id):
        raise NotPermitted(f"not of supplier {actor.supplier_id}")


async def check_own(session: AsyncSession, actor: Actor, kind: str, which: str) -> None:
    """A supplier acts on what is wholly their own (``"product"``, ``"ticket"``). Raises NotPermitted, for what there is
    not, too."""
    if actor.role is Role.SUPPLIER:
        supplied = _SUPPLIED[kind].subquery()
        owners = await session.scalars(select(supplied.c.supplier_id).where(supplied.c.id == which).distinct())
        if set(owners) != {actor.supplier_id}:
            raise NotPermitted(f"not all of it is of supplier {actor.supplier_id}")


_SENT: dict[str, Select[str]] = {
    "order": select(models.Fulfilment.order_id),
    "ticket": select(models.TicketLine.ticket_id).join(models.OrderLine).join(models.Fulfilment),
}
"""By kind: ids of what holds something that a supplier sends; lists of thousands are read by it."""


def sent_by(kind: str, supplier_id: str) -> Select[str]:
    """Ids of the orders or tickets that hold something of this supplier's."""
    return _SENT[kind].where(models.Fulfilment.supplier_id == supplier_id)


def own(actor: Actor, kind: str) -> Select[str] | None:
    """Ids of what is, at least in part, the supplier's own, for lists; None for whoever sees everything."""
    return sent_by(kind, actor.supplier_id or "") if actor.role is Role.SUPPLIER else None
