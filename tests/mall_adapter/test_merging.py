"""Two customers who are one person: what moves, what does not, and who may do it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import SqlMall, models, people
from mall_adapter.actors import SHELL
from mall_adapter.customer_record import look_up
from mall_adapter.errors import CodeOver, MergeRefused, NotBound, NotFound, NotPermitted
from mall_adapter.values import (
    Customer,
    Holdings,
    OrderFilter,
    Reason,
    TicketKind,
    TicketRequest,
    TicketStatus,
)
from storage import WRITES, Actor, EventRow, Role
from tests.databases import Sqlite
from tests.mall_adapter.offices import LI, OPERATOR, WANG, advance_ticket, new_key, office, place_order, refund

from .conftest import NOW, Clock
from .test_linking import a_code, refused

ZHOU = Customer("C1", "周琳", "上海")


async def sums(engine: AsyncEngine) -> dict[str, object]:
    """Everything that must be the same before and after, whoever it belongs to."""
    order, coupon, ticket = models.Order, models.Coupon, models.Ticket
    line, stock = models.OrderLine, models.Stock
    asked = {
        "orders": select(func.count(), func.sum(order.total_cents), func.sum(order.refunded_cents)).select_from(order),
        "lines": select(func.sum(line.quantity), func.sum(line.refunded_cents), func.sum(line.in_tickets)),
        "tickets": select(func.count(), func.sum(ticket.refund_cents)).select_from(ticket),
        "coupons": select(func.count(), func.sum(coupon.off_cents)).select_from(coupon),
        "stock": select(func.sum(stock.on_hand), func.sum(stock.allocated)),
        "accounts": select(func.count()).where(models.ChannelAccount.principal_id.is_not(None)),
        "customers": select(func.count()).select_from(models.Customer),
    }
    async with AsyncSession(engine) as session:
        return {name: tuple((await session.execute(query)).one()) for name, query in asked.items()}


def added(one: Holdings, other: Holdings) -> Holdings:
    return Holdings(
        one.orders + other.orders,
        one.total_cents + other.total_cents,
        one.refunded_cents + other.refunded_cents,
        one.tickets + other.tickets,
        one.open_tickets + other.open_tickets,
        one.coupons + other.coupons,
        tuple(sorted([*one.accounts, *other.accounts])),
    )


async def a_full_life(mall: SqlMall) -> None:
    """何军 has asked for his money back, got some, was granted a coupon, and writes in two channels."""
    ticket = await mall.create_ticket("web:he", TicketRequest("ORD20001", TicketKind.REFUND, Reason.MISSING_ITEM), "t")
    if ticket.status is TicketStatus.OPEN:
        await advance_ticket(mall, ticket.id, TicketStatus.APPROVED, "operator", "", "a")
    await refund(mall, ticket.id, 100)
    await mall.grant_coupon("web:he", "满 100 减 20", 2_000, 10_000, 30, "c1")
    await mall.grant_coupon("web:zhou", "满 50 减 5", 500, 5_000, 30, "c2")
    await mall.bind_with_code("telegram:2", await a_code(mall, "web:he"), new_key())
    await mall.create_ticket("web:zhou", TicketRequest("ORD10001", TicketKind.RETURN, Reason.QUALITY), "t2")


async def test_everything_of_the_one_becomes_the_others_and_no_sum_changes(mall: SqlMall, engine: AsyncEngine) -> None:
    await a_full_life(mall)
    before, shown = await sums(engine), await office(mall).merging(WANG, "C1", "C2")
    assert not shown.done
    assert shown.obstacle is None
    assert shown.gone.holdings == Holdings(1, 12_800, 100, 1, 0, 1, ("telegram", "web"))
    assert await sums(engine) == before  # looking moves nothing
    everything = {each.id for sender in ("web:zhou", "web:he") for each in await mall.orders_of(sender, 50)}

    merged = await office(mall).merge_customers(WANG, "C1", "C2", "m1")
    assert merged.done
    assert await sums(engine) == before
    kept = replace(merged.kept.holdings, accounts=tuple(sorted(merged.kept.holdings.accounts)))
    assert kept == added(shown.kept.holdings, shown.gone.holdings)
    assert merged.gone.holdings == Holdings(0, 0, 0, 0, 0, 0, ())
    for sender in ("web:zhou", "web:he", "telegram:2"):
        assert await mall.customer_of(sender) == ZHOU
        assert {each.id for each in await mall.orders_of(sender, 50)} == everything
        assert len(await mall.coupons_of(sender)) == 2
        assert len(await mall.tickets_of(sender)) == 2
    async with AsyncSession(engine) as session:
        (told,) = await session.scalars(select(EventRow).where(EventRow.kind == "customers_merged"))
    assert (told.subject, told.principal_id, told.role) == ("principal:P-C1", "P-wang", Role.OPERATOR)
    moved = {"orders": 1, "total_cents": 12_800, "refunded_cents": 100, "coupons": 1, "accounts": 2}
    assert told.data == {"gone_id": "C2"} | moved


async def test_once_is_enough(mall: SqlMall, engine: AsyncEngine) -> None:
    first = await office(mall).merge_customers(WANG, "C1", "C2", "m1")
    assert await office(mall).merge_customers(WANG, "C1", "C2", "m1") == first
    assert await office(mall).merge_customers(LI, "C1", "C2", "m2") == first
    assert (await office(mall).merging(LI, "C1", "C2")).done
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(func.count()).where(EventRow.kind == "customers_merged")) == 1


async def test_the_id_and_the_phone_of_who_is_gone_lead_to_who_is_kept(mall: SqlMall, engine: AsyncEngine) -> None:
    await office(mall).merge_customers(WANG, "C1", "C2", "m1")
    assert await mall.bind_with_proof("telegram:1", "13900004321", "ORD20001", new_key()) == ZHOU  # the old phone
    assert await mall.bind_with_proof("telegram:2", "13800005678", "ORD20001", new_key()) == ZHOU  # the kept one
    await office(mall).bind(OPERATOR, "wechat:3", "C2", new_key())
    assert await mall.customer_of("wechat:3") == ZHOU
    placed = await place_order(mall, "C2", {"P1-1": 1}, "p1")
    assert placed.id in {each.id for each in await mall.orders_of("web:zhou", 50)}
    for phone in ("13900004321", "13800005678"):
        page = await office(mall).orders(OPERATOR, OrderFilter(text=phone))
        assert {each.id for each in page.items} >= {"ORD20001", "ORD10001", placed.id}
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for which in ("C2", "13900004321"):
            assert (await look_up(session, SHELL, which, NOW)).id == "C1"
        assert await people.named(session, "C2") == "P-C1"


async def test_a_chain_of_mergers_leads_to_its_end(mall: SqlMall, engine: AsyncEngine) -> None:
    await add_customer(engine, "C3")
    await office(mall).merge_customers(WANG, "C1", "C2", "m1")
    await office(mall).merge_customers(WANG, "C3", "C1", "m2")
    for sender in ("web:zhou", "web:he"):
        customer = await mall.customer_of(sender)
        assert customer is not None
        assert customer.id == "C3"
    await office(mall).bind(OPERATOR, "wechat:3", "C2", new_key())
    assert await mall.customer_of("wechat:3") == await mall.customer_of("web:he")
    merged = await refused(office(mall).merge_customers(WANG, "C1", "C3", "m3"))  # round about
    assert isinstance(merged, MergeRefused)
    assert merged.why == "merged_already"


async def test_a_code_of_who_is_gone_is_over(mall: SqlMall) -> None:
    code = await a_code(mall, "web:he")
    await office(mall).merge_customers(WANG, "C1", "C2", "m1")
    assert isinstance(await refused(mall.bind_with_code("telegram:7", code, new_key())), CodeOver)
    assert await mall.bind_with_code("telegram:7", await a_code(mall, "web:he"), new_key()) == ZHOU


@pytest.mark.parametrize(
    ("kept", "gone", "actor", "why"),
    [
        ("C1", "C1", WANG, "same"),
        ("C1", "C4", WANG, "demo"),
        ("C1", "C5", WANG, "role"),  # C5 sells here: a role is never inherited
        ("C1", "C2", Actor(Role.OPERATOR, "P-C1"), "own"),
        ("C1", "C2", Actor(Role.OPERATOR, "P-C2"), "own"),
    ],
)
async def test_what_is_refused_changes_nothing(
    mall: SqlMall, engine: AsyncEngine, kept: str, gone: str, actor: Actor, why: str
) -> None:
    await add_customer(engine, "C4", demo=True)
    await add_customer(engine, "C5")
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        principal_id = await people.principal_for(session, "C5")
        await people.grant(session, principal_id, Role.SALES, None, SHELL, NOW)
    before = await sums(engine)
    assert (await office(mall).merging(actor, kept, gone)).obstacle == why
    merged = await refused(office(mall).merge_customers(actor, kept, gone, "m1"))
    assert isinstance(merged, MergeRefused)
    assert merged.why == why
    assert await sums(engine) == before


async def test_who_works_here_may_be_the_one_who_is_kept(mall: SqlMall, engine: AsyncEngine) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await people.grant(session, "P-C1", Role.SALES, None, SHELL, NOW)
    assert (await office(mall).merge_customers(WANG, "C1", "C2", "m1")).done


async def test_nobody_is_merged_with_whom_there_is_not(mall: SqlMall) -> None:
    for kept, gone in (("C1", "C9"), ("C9", "C1")):
        assert isinstance(await refused(office(mall).merging(WANG, kept, gone)), NotFound)
        assert isinstance(await refused(office(mall).merge_customers(WANG, kept, gone, "m1")), NotFound)


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.SALES, Role.TRAINER, Role.SERVICE])
async def test_only_operators_merge(mall: SqlMall, role: Role) -> None:
    actor = Actor(role, "P-x")
    assert isinstance(await refused(office(mall).merging(actor, "C1", "C2")), NotPermitted)
    assert isinstance(await refused(office(mall).merge_customers(actor, "C1", "C2", "m1")), NotPermitted)


async def test_what_is_done_meanwhile_is_not_lost(malls: list[SqlMall], engine: AsyncEngine) -> None:
    """Orders, accounts, tickets and coupons of who goes, while both are merged."""
    before = await sums(engine)
    ask = TicketRequest("ORD20001", TicketKind.RETURN, Reason.QUALITY)
    said = await asyncio.gather(
        *(place_order(malls[n], "C2", {"P4-1": 1}, f"p{n}") for n in range(3)),
        office(malls[0]).merge_customers(WANG, "C1", "C2", "m1"),
        office(malls[1]).merge_customers(LI, "C1", "C2", "m2"),
        office(malls[2]).bind(OPERATOR, "wechat:3", "C2", "b1"),
        malls[1].create_ticket("web:he", ask, "t1"),
        malls[2].grant_coupon("web:he", "满 100 减 20", 2_000, 10_000, 30, "c1"),
        return_exceptions=True,
    )
    assert [each for each in said if isinstance(each, Exception)] == []
    shown = await office(malls[0]).merging(WANG, "C1", "C2")
    assert shown.gone.holdings == Holdings(0, 0, 0, 0, 0, 0, ())
    assert (shown.kept.holdings.orders, shown.kept.holdings.tickets, shown.kept.holdings.coupons) == (8, 1, 1)
    assert sorted(shown.kept.holdings.accounts) == ["web", "web", "wechat"]
    after = await sums(engine)
    assert after["customers"] == before["customers"]


async def test_a_visitor_stays_one(mall: SqlMall) -> None:
    await office(mall).merge_customers(WANG, "C1", "C2", "m1")
    assert await mall.customer_of("web:guest") is None
    assert isinstance(await refused(mall.make_binding_code("web:guest", new_key())), NotBound)


async def add_customer(engine: AsyncEngine, customer_id: str, *, demo: bool = False) -> None:
    phone = f"1370000000{customer_id[1:]}"
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        customer = models.Customer(id=customer_id, name="周小琳", phone=phone, phone_index=models.phone_index(phone))
        customer.address, customer.region = "上海市静安区", "310000"
        customer.registered_at, customer.demo = NOW - timedelta(days=9), demo
        session.add(customer)


# ---- at the house's own machine ----


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_the_command_shows_first_and_does_it_when_it_is_told_to(
    mall: SqlMall, engine: AsyncEngine, url: str, databases: Sqlite, house: Path, clock: Clock
) -> None:
    path = url.partition("///")[2]
    environment = {"DATABASE_URL": f"sqlite:///{path}", "DATA_DIR": str(house)}

    async def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "mall_adapter", "merge", *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=settings.ROOT, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    code, said = await run("C1", "C2")
    assert (code, "--yes" in said, "周琳" in said, "128.00" in said) == (0, True, True, True)
    assert (await mall.customer_of("web:he")) != ZHOU
    code, said = await run("C1", "C2", "--yes")
    assert (code, "C2 is C1 from now on" in said) == (0, True)
    assert await mall.customer_of("web:he") == ZHOU
    assert "merged before" in (await run("C1", "C2", "--yes"))[1]
    for arguments, told in ((("C1", "C1"), "one already"), (("C1", "C9"), "no customer C9")):
        code, said = await run(*arguments)
        assert (code, told in said) == (1, True)
