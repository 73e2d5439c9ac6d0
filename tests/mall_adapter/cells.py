"""Sealed cells of a mall in which every sealed column has a value in two rows at least."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, column, inspect, select, table, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

import settings
from mall_adapter import Desk, SqlMall, models
from mall_adapter.handoff import ComplaintKind, HandoffReason
from mall_adapter.values import InvoiceKind, InvoiceRequest, Reason, TicketKind, TicketRequest, TicketStatus
from privacy.columns import EncryptedText, place_of
from storage import WRITES, inbox
from tests.mall_adapter.offices import WANG, advance_ticket

from .conftest import NOW, Clock

MALL = models.Base.metadata
CUSTOMER = MALL.tables["customer"]


@dataclass(frozen=True)
class Cell:
    """A sealed value: its column, and the key of its row."""

    table: Table
    column: str
    key: tuple[object, ...]

    def place(self) -> bytes:
        return place_of(self.table.c[self.column].type.place, self.key)  # type: ignore[attr-defined]

    def _here(self, of: Any) -> list[Any]:
        return [of.c[part.key] == value for part, value in zip(self.table.primary_key, self.key, strict=True)]

    async def stored(self, connection: AsyncConnection) -> bytes:
        raw = as_stored(self.table)
        found = await connection.execute(select(raw.c[self.column]).where(*self._here(raw)))
        return bytes(found.scalar_one())

    async def put(self, connection: AsyncConnection, value: bytes) -> None:
        raw = as_stored(self.table)
        await connection.execute(update(raw).where(*self._here(raw)).values({self.column: value}))

    async def read(self, connection: AsyncConnection) -> str:
        query = select(self.table.c[self.column]).where(*self._here(self.table))
        return str((await connection.execute(query)).scalar_one())


@cache
def as_stored(of: Table) -> Any:
    """The table without its types: what lies in the database."""
    return table(of.name, *(column(each.name) for each in of.c))


def sealed_columns() -> list[Any]:
    """Of the mall and of what it stands on; whoever else keeps something may be here, too, or not."""
    mappers = models.Base.registry.mappers
    others = [one.local_table for one in mappers if one.class_.__module__.startswith("connectors")]
    tables = [one for one in MALL.sorted_tables if one not in others]
    return [each for one in tables for each in one.c if isinstance(each.type, EncryptedText)]


def _there(connection: Connection) -> set[tuple[str, str]]:
    tables = inspect(connection)
    return {(name, each["name"]) for name in tables.get_table_names() for each in tables.get_columns(name)}


async def cells(connection: AsyncConnection) -> list[Cell]:
    """Of the columns that the database has at its revision."""
    found, there = [], await connection.run_sync(_there)
    for each in sealed_columns():
        if (each.table.name, each.key) not in there:
            continue
        keys = await connection.execute(select(*each.table.primary_key).where(each.is_not(None)))
        found += [Cell(each.table, each.key, tuple(key)) for key in keys]
    return found


async def read_all(engine: AsyncEngine) -> dict[Cell, str]:
    async with engine.connect() as connection:
        return {cell: await cell.read(connection) for cell in await cells(connection)}


async def fill(engine: AsyncEngine, clock: Clock) -> Desk:
    """A mall and a desk in which every sealed column has a value in two rows at least."""
    mall, desk = SqlMall(engine, clock=clock), Desk(engine, settings.desk_hours(), clock)
    for sender, order_id, principal_id in (("web:zhou", "ORD10001", "P-C1"), ("web:he", "ORD20001", "P-C2")):
        company = InvoiceRequest(order_id, InvoiceKind.COMPANY, "某某公司", "91310000MA1FL4567K"[:15], "a@b.cn")
        await mall.request_invoice(sender, company, f"i{sender}")
        request = TicketRequest(order_id, TicketKind.RETURN, Reason.QUALITY, note="开胶了")
        if sender == "web:zhou":
            ticket = await mall.create_ticket(sender, request, f"t{sender}")
            await advance_ticket(mall, ticket.id, TicketStatus.CANCELLED, "operator", "已沟通", "c")
            await mall.create_ticket(sender, request, "t2")
        handoff = await desk.request(sender, HandoffReason.ASKED, f"h{sender}")
        await desk.claim(WANG, handoff.id)
        await desk.say(WANG, handoff.id, "您好", f"m{sender}")
        while dispatches := await desk.dispatches(sender):
            (dispatch,) = dispatches
            await desk.delivered(dispatch, [{"text": dispatch.text}])
        await desk.note_misunderstood(sender, "那个啥", [("greet", 0.4)], "m1")
        await desk.settle(WANG, (await desk.misunderstood())[0].id, "greet")
        await desk.note_complaint(sender, ComplaintKind.COURIER, "太慢了", "m2")
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            session.add(models.ConversationView(conversation="0" * 64, operator="小王", viewed_at=NOW))
            named = {"name": "小周", "greeting": "有事找我", "phone": "13800001111", "portrait": "anBlZw=="}
            shown = named | {"product_ids": [], "made_at": NOW, "changed_at": NOW}
            session.add(models.Card(id=f"CD-{principal_id}", principal_id=principal_id, **shown))
            talk = {"handoff_id": handoff.id, "lead_id": 1, "person": "account:x", "principal_id": principal_id}
            talk |= {"sender": sender, "sender_index": "0" * 63 + principal_id[-1], "position": 0, "heard_at": NOW}
            session.add(models.LeadTalk(**talk))
            await inbox.accept(session, inbox.Message("web", sender, {"text": "在吗"}, sender), NOW, None)
    return desk
