"""A small mall behind a gateway's back: what customers and carriers do while operators look at their pages."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import SqlBackOffice, SqlMall, models
from mall_adapter.values import OrderStatus, Reason, Ticket, TicketKind, TicketRequest
from storage import WRITES, Actor, Role, create_engine
from tests.mall_adapter.conftest import add_small_mall

Answer = TypeVar("Answer")

SERVICE = Actor(Role.SERVICE, "shop")
SHOES, LIPSTICK = "P1-1", "P2-1"


def aside(work: Callable[[], Answer]) -> Answer:
    """In a thread of its own: playwright leaves a running loop in ours."""
    with ThreadPoolExecutor() as pool:
        return pool.submit(work).result()


class Shop:
    def __init__(self, database: Path, keyring: str) -> None:
        self._database, self._keyring = database, keyring
        self._senders: dict[str, str] = {}  # by ticket

    def do(self, work: Callable[[SqlMall, SqlBackOffice], Awaitable[Answer]]) -> Answer:
        async def doing() -> Answer:
            engine = create_engine(f"sqlite+aiosqlite:///{self._database}")
            try:
                return await work(SqlMall(engine), SqlBackOffice(engine))
            finally:
                await engine.dispose()

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KEYRING_FILE", self._keyring)
            return aside(lambda: asyncio.run(doing()))

    def write(self, work: Callable[[AsyncSession], Awaitable[None]]) -> None:
        async def writing(mall: SqlMall, _: SqlBackOffice) -> None:
            async with AsyncSession(mall.database.engine.execution_options(**WRITES)) as session, session.begin():
                await work(session)

        self.do(writing)

    def open(self) -> None:
        async def furnish(session: AsyncSession) -> None:
            # whoever signed in before is of the same name
            staff = select(models.Principal.id).where(models.Principal.customer_id.is_(None))
            await session.execute(delete(models.Membership).where(models.Membership.principal_id.in_(staff)))
            await session.execute(delete(models.Principal).where(models.Principal.customer_id.is_(None)))
            add_small_mall(session)

        self.write(furnish)

    def customer(self) -> str:
        """The id of a new one, called 周琳, who writes as ``web:<id>``."""
        customer_id, phone = f"C{secrets.token_hex(4)}", f"137{secrets.randbelow(10**8):08}"

        async def come(session: AsyncSession) -> None:
            session.add(
                models.Customer(
                    id=customer_id,
                    name="周琳",
                    phone=phone,
                    phone_index=models.phone_index(phone),
                    address="上海市静安区延平路 1 号",
                    region="310000",
                    registered_at=datetime.now(UTC) - timedelta(days=400),
                )
            )

        self.write(come)
        self.do(lambda _, office: office.bind(SERVICE, f"web:{customer_id}", customer_id, uuid4().hex))
        return customer_id

    def order(self, items: Mapping[str, int] | None = None) -> str:
        """The number of a new paid order."""
        customer_id = self.customer()

        async def place(_: SqlMall, office: SqlBackOffice) -> str:
            return (await office.place_order(SERVICE, customer_id, items or {SHOES: 1}, uuid4().hex)).id

        return self.do(place)

    def delivered(self, pieces: int = 1) -> tuple[str, str]:
        """A new order of shoes that came yesterday, and who gave it."""
        customer_id, order_id = self.customer(), f"ORD8{secrets.randbelow(10**9):09}"
        now = datetime.now(UTC)

        async def come(session: AsyncSession) -> None:
            line = models.OrderLine(
                id=f"{order_id}-1",
                sku_id=SHOES,
                product_name="云跑缓震跑步鞋",
                spec="黑色 42码",
                quantity=pieces,
                unit_price_cents=39900,
                fulfilment_id=f"{order_id}-F1",
            )
            session.add(
                models.Order(
                    **self._row(order_id, customer_id, now - timedelta(days=4), pieces),
                    delivered_at=now - timedelta(days=1),
                    fulfilments=[models.Fulfilment(id=f"{order_id}-F1", supplier_id="S1", warehouse_id="W-S1")],
                    lines=[line],
                )
            )

        self.write(come)
        return order_id, f"web:{customer_id}"

    @staticmethod
    def _row(order_id: str, customer_id: str, placed_at: datetime, pieces: int = 1) -> dict[str, Any]:
        return {
            "id": order_id,
            "customer_id": customer_id,
            "status": OrderStatus.DELIVERED,
            "placed_at": placed_at,
            "total_cents": 39900 * pieces,
            "region": "310000",
            "recipient_name": "周琳",
            "recipient_phone": "13700000000",
            "recipient_address": "上海市静安区延平路 1 号",
            "phone_tail_index": "0" * 64,
        }

    def asks(self, kind: TicketKind, reason: Reason, note: str, pieces: int = 1) -> Ticket:
        order_id, sender = self.delivered(pieces)
        request = TicketRequest(order_id, kind, reason, opened=False, note=note)
        ticket = self.do(lambda mall, _: mall.create_ticket(sender, request, uuid4().hex))
        self._senders[ticket.id] = sender
        return ticket

    def returns(self, note: str = "", pieces: int = 1) -> Ticket:
        """A ticket whose goods come back: approved by the rules."""
        return self.asks(TicketKind.RETURN, Reason.DISLIKE, note, pieces)

    def complains(self, note: str = "鞋底裂了") -> Ticket:
        """A ticket that a person has to look at."""
        return self.asks(TicketKind.REFUND, Reason.DAMAGED, note)

    def ticket(self, ticket_id: str) -> Ticket:
        """As its customer sees it."""
        return self.do(lambda mall, _: mall.ticket(self._senders[ticket_id], ticket_id))

    def old_orders(self, count: int) -> list[str]:
        """Numbers of orders of years ago, the newest first, which begin alike."""
        begin = f"ORD7{secrets.randbelow(10**5):05}"
        long_ago, customer_id = datetime.now(UTC) - timedelta(days=3650), self.customer()
        rows = [
            self._row(f"{begin}{number:04}", customer_id, long_ago + timedelta(minutes=number))
            for number in range(count)
        ]

        async def add(session: AsyncSession) -> None:
            await session.execute(insert(models.Order), rows)

        self.write(add)
        return [str(row["id"]) for row in reversed(rows)]
