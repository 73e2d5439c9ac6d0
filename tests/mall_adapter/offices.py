"""The back office of a mall that a test has, as an operator uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import cast
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import BackOffice, SqlBackOffice, SqlMall
from mall_adapter.http.client import HttpBackOffice, HttpMall
from mall_adapter.values import Order, Ticket, TicketStatus
from storage import Actor, Role

OPERATOR = Actor(Role.OPERATOR, "P-operator")
WANG = Actor(Role.OPERATOR, "P-wang", channel="dashboard")
LI = Actor(Role.OPERATOR, "P-li", channel="dashboard")


def new_key() -> str:
    """Of a request that nobody has made before."""
    return uuid4().hex


def office(mall: SqlMall | HttpMall) -> BackOffice:
    if isinstance(mall, HttpMall):
        return cast(BackOffice, HttpBackOffice(mall.http))
    return SqlBackOffice(mall.database.engine, mall.database.clock)


def own_office(engine: AsyncEngine, clock: Callable[[], datetime]) -> SqlBackOffice:
    """On the tables themselves, wherever the mall is asked: it has the clockwork, too."""
    return SqlBackOffice(engine, clock)


async def bind(mall: SqlMall, sender: str, customer_id: str) -> None:
    await office(mall).bind(OPERATOR, sender, customer_id, new_key())


async def place_order(mall: SqlMall, customer_id: str, items: Mapping[str, int], idempotency_key: str) -> Order:
    return await office(mall).place_order(OPERATOR, customer_id, items, idempotency_key)


async def ship_order(mall: SqlMall, order_id: str, carrier: str, tracking_number: str, idempotency_key: str) -> Order:
    return await office(mall).ship(OPERATOR, order_id, carrier, tracking_number, idempotency_key)


async def advance_ticket(
    mall: SqlMall, ticket_id: str, to: TicketStatus, role: str, note: str, idempotency_key: str
) -> Ticket:
    """``role`` is that of whoever takes the step."""
    actor = Actor(Role(role), f"P-{role}", supplier_id="S1" if role == Role.SUPPLIER else None)
    return await office(mall).advance_ticket(actor, ticket_id, to, note, idempotency_key)


async def receive_goods(
    mall: SqlMall, ticket_id: str, received: Mapping[str, int] | None = None, sellable: Mapping[str, int] | None = None
) -> Ticket:
    return await office(mall).receive_goods(OPERATOR, ticket_id, received, "", uuid4().hex, sellable=sellable)


async def refund(mall: SqlMall, ticket_id: str, cents: int | None = None) -> Ticket:
    return await office(mall).refund(OPERATOR, ticket_id, cents, "", uuid4().hex)
