"""A copy of one's data, and being forgotten: what is told, what is left, who may ask, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, merging, models
from mall_adapter.data_rights import PARTS, RIGHTS, Copies, DataRights, Obstacle, erase_due
from mall_adapter.errors import BindingLocked, EraseRefused, InPublic, MergeRefused, NotBound, NotFound, WrongProof
from mall_adapter.proof_limits import ProofLimits
from mall_adapter.values import OrderStatus, Reason, TicketKind, TicketRequest, TicketStatus
from privacy import current_ring
from privacy.conversations import conversation_of
from privacy.tables import conversation_event
from storage import WRITES, EventRow
from storage.personal import Part, Subject
from tests.mall_adapter.offices import OPERATOR, advance_ticket

from .cells import fill, read_all
from .conftest import NOW, Clock
from .stored import store

ZHOU, PHONE = "web:zhou", "13800005678"
BY_THEMSELVES = ("idempotency_record",)
"""Are forgotten within days, whosever they are."""

KEPT_BY_LAW = {("invoice", "title"), ("invoice", "tax_number")}


def rights(engine: AsyncEngine, clock: Clock) -> DataRights:
    return DataRights(engine, ProofLimits.load(), clock)


async def change(engine: AsyncEngine, table: type[models.Base], which: Any, **values: Any) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(update(table).where(which).values(values))


async def events(engine: AsyncEngine) -> Sequence[str]:
    async with AsyncSession(engine) as session:
        return (
            await session.scalars(select(EventRow.kind).where(EventRow.kind.contains("eras")).order_by(EventRow.id))
        ).all()


@pytest.fixture
async def settled(engine: AsyncEngine) -> None:
    """Nothing of 周琳's is under way."""
    await change(engine, models.Order, models.Order.id == "ORD10003", status=OrderStatus.COMPLETED)


async def say(engine: AsyncEngine, sender: str, *texts: str) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        turns = conversation_event.c.conversation == conversation_of(current_ring(), sender)
        await connection.execute(conversation_event.delete().where(turns))  # of another test
    await store(engine, sender, *({"event": "user", "text": text, "timestamp": NOW.timestamp()} for text in texts))


# ---- a copy


async def test_a_copy_tells_all_of_oneself_and_nothing_of_others(engine: AsyncEngine, clock: Clock) -> None:
    await fill(engine, clock)
    await say(engine, ZHOU, "我的鞋到了吗")
    await say(engine, "web:he", "月饼呢")
    link = await rights(engine, clock).ask_copy(ZHOU, "k")
    copies = Copies(engine, PARTS, clock)
    copy, _ = await copies.fetch(link.token, "5678")
    assert copy is not None
    assert (copy["profile"][0]["name"], copy["profile"][0]["phone"]) == ("周琳", PHONE)
    assert {each["id"] for each in copy["orders"]} == {"ORD10001", "ORD10002", "ORD10003", "ORD10004"}
    assert copy["orders"][0]["recipient"] == "收件人"
    assert [each["note"] for each in copy["tickets"]] == ["开胶了", "开胶了"]
    assert ("customer", "我的鞋到了吗") in [(each["by"], each["text"]) for each in copy["conversations"]]
    assert [each["words"] for each in copy["complaints"]] == ["太慢了"]
    assert copy["own_card"][0]["greeting"] == "有事找我"
    assert copy["accounts"][0]["account"] == ZHOU
    told = str(copy)
    assert not [other for other in ("何军", "13900004321", "ORD20001", "月饼呢", "web:he") if other in told]


async def test_a_link_is_good_once_and_for_a_day(engine: AsyncEngine, clock: Clock) -> None:
    house, copies = rights(engine, clock), Copies(engine, PARTS, clock)
    first = await house.ask_copy(ZHOU, "k1")
    assert await house.ask_copy(ZHOU, "k1") == first  # the same message, told again
    assert first.good_until == NOW + timedelta(hours=24)
    for _ in range(3):
        assert await copies.is_good(first.token)  # looking uses nothing up
    second = await house.ask_copy(ZHOU, "k2")
    with pytest.raises(NotFound):
        await copies.fetch(first.token, "5678")
    many = await asyncio.gather(*(copies.fetch(second.token, "5678") for _ in range(4)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in many) == ["NotFound"] * 3 + ["tuple"]
    third = await house.ask_copy(ZHOU, "k3")
    clock.advance(hours=24)
    assert not await copies.is_good(third.token)
    with pytest.raises(NotFound):
        await copies.fetch(third.token, "5678")


async def test_a_link_that_was_passed_on_is_worth_nothing(engine: AsyncEngine, clock: Clock) -> None:
    house, copies = rights(engine, clock), Copies(engine, PARTS, clock)
    link = await house.ask_copy(ZHOU, "k")
    assert await copies.fetch(link.token, "4321") == (None, 2)
    assert await copies.fetch(link.token, "") == (None, 1)
    assert await copies.fetch(link.token, "0000") == (None, 0)
    with pytest.raises(NotFound):
        await copies.fetch(link.token, "5678")
    with pytest.raises(NotFound):
        await copies.fetch("0" * 64, "5678")


@pytest.mark.parametrize(("sender", "refusal"), [("web:guest", NotBound), ("telegram:7@-100", InPublic)])
async def test_who_is_nobody_gets_nothing(
    engine: AsyncEngine, clock: Clock, sender: str, refusal: type[Exception]
) -> None:
    house = rights(engine, clock)
    for ask in (
        house.ask_copy(sender, "k"),
        house.standing(sender),
        house.ask_erasure(sender, PHONE, "k"),
        house.withdraw_erasure(sender),
    ):
        with pytest.raises(refusal):
            await ask


# ---- being forgotten


async def test_nothing_that_was_sealed_tells_of_who_is_forgotten(engine: AsyncEngine, clock: Clock) -> None:
    await fill(engine, clock)
    await say(engine, ZHOU, "我的鞋到了吗")
    async with AsyncSession(engine) as session:
        tickets = (await session.scalars(select(models.Ticket).order_by(models.Ticket.id))).all()
    for ticket in tickets:
        if ticket.order_id == "ORD10001" and ticket.status != TicketStatus.CANCELLED:
            mall = SqlMall(engine, clock=clock)
            await advance_ticket(mall, ticket.id, TicketStatus.CANCELLED, "operator", "好了", "c9")
    await change(engine, models.Order, models.Order.id == "ORD10003", status=OrderStatus.COMPLETED)
    house = rights(engine, clock)
    assert await house.ask_erasure(ZHOU, PHONE, "k") == NOW + RIGHTS.cooling
    before = await read_all(engine)
    clock.advance(days=RIGHTS.erase_days, seconds=-1)
    await erase_due(engine, PARTS, clock())
    assert await read_all(engine) == before  # not before its time
    clock.advance(seconds=1)
    await asyncio.gather(*(erase_due(engine, PARTS, clock()) for _ in range(3)))
    after = await read_all(engine)
    left = {cell: value for cell, value in after.items() if value and (cell.table.name, cell.column) not in KEPT_BY_LAW}
    others = {cell: value for cell, value in left.items() if "C2" in str(cell.key) or "ORD20001" in str(cell.key)}
    assert others and others == {cell: before[cell] for cell in others}
    mine = {cell: value for cell, value in left.items() if cell not in others and cell.table.name not in BY_THEMSELVES}
    signs = ("C1", "ORD1", ZHOU, PHONE, "周琳", "小周")
    assert [cell for cell, value in mine.items() if any(sign in f"{cell.key} {value}" for sign in signs)] == []
    for table in ("complaint", "misunderstood", "handoff", "inbox", "outbox"):  # both had left the same words
        of_table = [[cell.key for cell in cells if cell.table.name == table] for cells in (before, left)]
        assert len(of_table[1]) * 2 <= len(of_table[0]), table
    async with AsyncSession(engine) as session:
        rows = (await session.execute(select(conversation_event.c.conversation))).scalars().all()
        orders = (await session.scalars(select(models.Order.id).where(models.Order.customer_id == "C1"))).all()
    assert conversation_of(current_ring(), ZHOU) not in rows
    assert len(orders) == 4  # the books stay
    assert list(await events(engine)) == ["erasure_asked", "customer_erased"]
    with pytest.raises(NotBound):
        await house.standing(ZHOU)
    with pytest.raises(WrongProof):  # by neither phone nor tail is anything of it anybody's
        await SqlMall(engine, clock=clock).bind_with_proof("web:new", PHONE, "ORD10001", "k")


async def test_who_is_forgotten_is_so_under_all_names(engine: AsyncEngine, clock: Clock, settled: None) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await merging.merge(session, OPERATOR, "C1", "C2", NOW)
    await rights(engine, clock).ask_erasure("web:he", PHONE, "k")
    clock.advance(days=RIGHTS.erase_days)
    await erase_due(engine, PARTS, clock())
    async with AsyncSession(engine) as session:
        left = (await session.execute(select(models.Customer.name, models.Customer.phone))).all()
        accounts = (await session.scalars(select(models.ChannelAccount.channel))).all()
    assert {tuple(each) for each in left} == {("", "")}
    assert accounts == []


async def test_what_is_under_way_comes_first(engine: AsyncEngine, clock: Clock) -> None:
    house, mall = rights(engine, clock), SqlMall(engine, clock=clock)
    assert (await house.standing(ZHOU)).obstacle is Obstacle.ORDER
    with pytest.raises(EraseRefused) as refused:
        await house.ask_erasure(ZHOU, PHONE, "k1")
    assert (refused.value.obstacle, refused.value.about) == ("order", "ORD10003")
    await change(engine, models.Order, models.Order.id == "ORD10003", status=OrderStatus.COMPLETED)
    request = TicketRequest("ORD10001", TicketKind.RETURN, Reason.CHANGED_MIND)
    ticket = await mall.create_ticket(ZHOU, request, "t")
    standing = await house.standing(ZHOU)
    assert (standing.obstacle, standing.about) == (Obstacle.TICKET, ticket.id)
    await mall.cancel_ticket(ZHOU, ticket.id, "c")
    await house.ask_erasure(ZHOU, PHONE, "k2")
    await mall.create_ticket(ZHOU, request, "t2")  # and then something is again
    clock.advance(days=RIGHTS.erase_days)
    await erase_due(engine, PARTS, clock())
    assert (await house.standing(ZHOU)).due_at == clock() + timedelta(days=1)


async def test_who_cannot_be_forgotten_keeps_nobody_from_it(engine: AsyncEngine, clock: Clock, settled: None) -> None:
    async def fails(session: AsyncSession, whose: Subject, _: datetime) -> None:
        if whose.customer_id == "C1":
            await session.execute(delete(models.Principal).where(models.Principal.id == "P-C1"))  # others point at it

    house = rights(engine, clock)
    await change(engine, models.Order, models.Order.customer_id == "C2", status=OrderStatus.COMPLETED)
    async with AsyncSession(engine) as session:
        phone = (await session.get_one(models.Customer, "C2")).phone
    for sender, number in ((ZHOU, PHONE), ("web:he", phone)):
        await house.ask_erasure(sender, number, f"k{sender}")
        clock.advance(seconds=1)
    clock.advance(days=RIGHTS.erase_days)
    assert not await erase_due(engine, (*PARTS, Part(erase=fails)), clock())
    assert (await house.standing(ZHOU)).due_at == clock() + timedelta(days=1)
    async with AsyncSession(engine) as session:
        assert (await session.get_one(models.Customer, "C1")).phone == PHONE  # nothing of it was half done
    with pytest.raises(NotBound):
        await house.standing("web:he")
    clock.advance(days=1)
    await erase_due(engine, PARTS, clock())
    with pytest.raises(NotBound):
        await house.standing(ZHOU)


async def test_it_can_be_taken_back_until_it_is_done(engine: AsyncEngine, clock: Clock, settled: None) -> None:
    house = rights(engine, clock)
    assert not await house.withdraw_erasure(ZHOU)
    dues = await asyncio.gather(*(house.ask_erasure(ZHOU, PHONE, f"k{n}") for n in range(4)))
    assert len(set(dues)) == 1
    taken_back = await asyncio.gather(*(house.withdraw_erasure(ZHOU) for _ in range(3)))
    assert sorted(taken_back) == [False, False, True]
    clock.advance(days=30)
    await erase_due(engine, PARTS, clock())
    assert (await house.standing(ZHOU)).due_at is None
    assert list(await events(engine)) == ["erasure_asked", "erasure_withdrawn"]


async def test_another_phone_forgets_nobody_and_is_counted(engine: AsyncEngine, clock: Clock, settled: None) -> None:
    house = rights(engine, clock)
    with pytest.raises(WrongProof):
        await house.ask_erasure(ZHOU, "13900004321", "k1")
    for number in range(2, 10):
        with pytest.raises((WrongProof, BindingLocked)):
            await house.ask_erasure(ZHOU, f"1380000{number:04}", f"k{number}")
    with pytest.raises(BindingLocked):
        await house.ask_erasure(ZHOU, PHONE, "right")
    assert (await house.standing(ZHOU)).due_at is None


async def test_who_works_here_is_no_customer_to_forget(engine: AsyncEngine, clock: Clock, settled: None) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Membership(principal_id="P-C1", role="sales", granted_at=NOW))
    with pytest.raises(EraseRefused, match="role"):
        await rights(engine, clock).ask_erasure(ZHOU, PHONE, "k")


async def test_nobody_is_merged_with_who_goes(engine: AsyncEngine, clock: Clock, settled: None) -> None:
    await rights(engine, clock).ask_erasure(ZHOU, PHONE, "k")
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        with pytest.raises(MergeRefused, match="erasing"):
            await merging.merge(session, OPERATOR, "C2", "C1", NOW)
