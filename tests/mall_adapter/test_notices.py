"""What the shop says by itself: from the event to what waits for a channel, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, merging, models, notices, people
from mall_adapter.coupons import Gift
from mall_adapter.errors import InvalidTransition, NotPermitted
from mall_adapter.notices import KINDS, Notice, Notices, Watched, broadcasts, segments, telling
from mall_adapter.notices.sweeps import tell_of_coupons, tell_of_stock
from mall_adapter.parcels import ParcelMoved
from mall_adapter.values import ParcelStatus, ParcelStep, Reason, TicketKind, TicketRequest, TicketStatus
from storage import WRITES, Actor, Role, create_engine, record
from storage.outbox import Dropped, Outbox, Retry, State
from tests.mall_adapter.offices import LI, OPERATOR, WANG, advance_ticket, office

from .conftest import NOW, Clock

RETURNED = "ORD10001", TicketKind.RETURN, Reason.DISLIKE, ("ORD10001-1",), False


@pytest.fixture
def shop(engine: AsyncEngine, clock: Clock) -> SqlMall:
    """The small mall on our own tables: of another's events nobody here hears."""
    return SqlMall(engine, clock=clock)


@pytest.fixture(autouse=True)
async def heard(engine: AsyncEngine) -> AsyncIterator[None]:
    """周琳 wrote on the web an hour ago, and 何军 as well."""
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(update(models.ChannelAccount).values(heard_at=NOW - timedelta(hours=1)))
    yield


async def waiting(engine: AsyncEngine, *kinds: str) -> list[tuple[str, str, Mapping[str, str]]]:
    """Customer, kind and values of what waits to be told, in its order."""
    async with AsyncSession(engine) as session:
        rows = await session.scalars(
            select(Outbox).where(Outbox.channel == "notice", Outbox.state == State.PENDING).order_by(Outbox.id)
        )
        return [(row.recipient, row.kind, json.loads(row.payload)["values"]) for row in rows]


async def ship(shop: SqlMall) -> None:
    await office(shop).ship(OPERATOR, "ORD10003", "顺丰速运", "SF1", "ship")


async def tell(shop: SqlMall, status: str, hours: float, days: float | None = None) -> None:
    """A step of the parcel of ORD10003, so many hours after NOW."""
    expected = None if days is None else NOW + timedelta(days=days)
    step = ParcelStep(ParcelStatus(status), NOW + timedelta(hours=hours), expected_by=expected)
    await office(shop).parcel_moved(OPERATOR, "ORD10003-S1", step, f"{status} {hours}")


async def take(engine: AsyncEngine, now: datetime) -> Notice:
    (notice,) = await notices.due(engine, now)
    return notice


async def decided(engine: AsyncEngine, notice: Notice, now: datetime) -> Any:
    async with AsyncSession(engine) as session:
        return await notices.decide(session, notice, now)


# ---- from what happened


async def test_a_parcel_that_is_late_twice_is_told_of_once_and_then_that_it_came(
    shop: SqlMall, engine: AsyncEngine, clock: Clock
) -> None:
    await ship(shop)
    clock.advance(hours=3)
    await tell(shop, "delayed", 1, days=5)
    await notices.read_on(engine, clock())
    await tell(shop, "delayed", 2, days=7)
    await notices.read_on(engine, clock())
    assert [(who, kind, values["day"]) for who, kind, values in await waiting(engine)] == [
        ("C1", "parcel_delayed", "18")
    ]
    await tell(shop, "delivered", 3)
    await notices.read_on(engine, clock())
    assert [kind for _, kind, _ in await waiting(engine)] == ["parcel_delivered"]


async def test_what_came_late_or_was_done_by_the_customer_is_not_told(
    shop: SqlMall, engine: AsyncEngine, clock: Clock
) -> None:
    await ship(shop)
    clock.advance(hours=3)
    await tell(shop, "delivered", 2)
    await tell(shop, "delayed", 1, days=5)  # heard of after it had arrived
    request = TicketRequest(*RETURNED)
    ticket = await shop.create_ticket("web:zhou", request, "t")
    await shop.cancel_ticket("web:zhou", ticket.id, "c")
    await notices.read_on(engine, clock())
    assert [kind for _, kind, _ in await waiting(engine)] == ["parcel_delivered"]


async def test_the_steps_of_a_ticket(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    request = TicketRequest(*RETURNED)
    ticket = await shop.create_ticket("web:zhou", request, "t")
    steps = (TicketStatus.GOODS_RECEIVED, TicketStatus.REFUNDED)
    if ticket.status is TicketStatus.OPEN:
        await advance_ticket(shop, ticket.id, TicketStatus.APPROVED, "operator", "", "k approved")
    for to in steps:
        await advance_ticket(shop, ticket.id, to, "operator", "", f"k {to}")
        await notices.read_on(engine, clock())
        ((who, kind, values),) = await waiting(engine)
        assert (who, kind, values["status"]) == ("C1", "ticket_moved", to)
    assert values["yuan"] == "399.00"


@pytest.mark.parametrize("hours, told", [(KINDS.kinds["parcel_delivered"].hours - 1, 1), (49, 0)])
async def test_what_is_old_is_not_worth_saying(
    shop: SqlMall, engine: AsyncEngine, clock: Clock, hours: float, told: int
) -> None:
    await ship(shop)
    await tell(shop, "delivered", 0.5)
    clock.advance(hours=hours)
    await notices.read_on(engine, clock())
    assert len(await waiting(engine)) == told


async def test_whoever_cannot_be_written_to_is_told_nothing(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await people.lose(session, "web:zhou")
    await ship(shop)
    clock.advance(hours=1)
    await tell(shop, "delivered", 0.5)
    await notices.read_on(engine, clock())
    assert not await waiting(engine)


# ---- none is missed, none comes twice


async def test_readers_that_run_at_once_tell_each_event_once(
    shop: SqlMall, engine: AsyncEngine, clock: Clock, url: str
) -> None:
    await ship(shop)
    clock.advance(hours=30)
    for hour in range(1, 9):
        await tell(shop, "delayed", hour, days=hour + 2)
    engines = [create_engine(url) for _ in range(3)]
    await asyncio.gather(*(notices.read_on(each, clock()) for each in engines))
    async with AsyncSession(engine) as session:
        rows = (await session.scalars(select(Outbox.state).where(Outbox.channel == "notice"))).all()
    assert rows == [State.PENDING]  # the seven before were not so any more when they were read
    for each in engines:
        await each.dispose()


async def test_a_reader_that_is_killed_has_read_nothing(
    shop: SqlMall, engine: AsyncEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ship(shop)
    clock.advance(hours=3)
    await tell(shop, "delivered", 1)

    async def dies(*given: Any, **more: Any) -> bool:
        await notices.notify(*given, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mall_adapter.notices.events.notify", dies)
        with pytest.raises(KeyboardInterrupt):
            await notices.read_on(engine, clock())
    assert not await waiting(engine)
    await notices.read_on(engine, clock())
    await notices.read_on(engine, clock())
    assert [kind for _, kind, _ in await waiting(engine)] == ["parcel_delivered"]


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)  # SQLite has one writer at a time
async def test_an_event_that_is_committed_after_a_later_one_is_not_missed(
    shop: SqlMall, engine: AsyncEngine, clock: Clock
) -> None:
    """On PostgreSQL: its transaction has the smaller number, and is still open while the reader comes by."""
    await ship(shop)
    clock.advance(hours=3)
    async with AsyncSession(engine) as slow, slow.begin():
        shipment = (await slow.scalars(select(models.Shipment).where(models.Shipment.id == "ORD10003-S1"))).one()
        shipment.status = ParcelStatus.DELIVERED
        record(
            slow,
            ParcelMoved(subject="shipment:ORD10003-S1", order_id="ORD10003", status=ParcelStatus.DELIVERED),
            OPERATOR,
            clock(),
        )
        await slow.flush()
        await office(shop).receive_stock(OPERATOR, "W-S1", "P1-1", 1, "later")  # another event, committed
        reader = asyncio.create_task(notices.read_on(engine, clock()))
        done, _ = await asyncio.wait([reader], timeout=0.1)
        assert not done  # it waits for the slow one, and may give up in a moment
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    await notices.read_on(engine, clock())
    assert [kind for _, kind, _ in await waiting(engine)] == ["parcel_delivered"]


# ---- when, and to whom


@pytest.mark.parametrize(
    "moment, morning",
    [
        ("2026-03-11T21:59:59+08:00", None),
        ("2026-03-11T22:00:00+08:00", "2026-03-12T08:00:00+08:00"),
        ("2026-03-12T00:30:00+08:00", "2026-03-12T08:00:00+08:00"),
        ("2026-03-12T07:59:59+08:00", "2026-03-12T08:00:00+08:00"),
        ("2026-03-12T08:00:00+08:00", None),
    ],
)
def test_quiet_hours(moment: str, morning: str | None) -> None:
    ends = KINDS.quiet.ends(datetime.fromisoformat(moment).astimezone(UTC))
    assert ends == (morning and datetime.fromisoformat(morning))


async def test_at_night_it_waits_for_the_morning(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    await ship(shop)
    clock.advance(hours=13)  # 23:00 in Shanghai
    await tell(shop, "delivered", 12)
    await notices.read_on(engine, clock())
    assert not await notices.due(engine, clock())
    morning = KINDS.quiet.ends(clock())
    assert morning and await notices.due(engine, morning)


async def test_the_account_that_wrote_last_comes_first(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await people.bind(session, "telegram:7", "C1", OPERATOR, NOW)
        await people.meet(session, "telegram:7", NOW)
    await ship(shop)
    clock.advance(hours=2)
    await tell(shop, "delivered", 1)
    await notices.read_on(engine, clock())
    notice = await take(engine, clock())
    assert notice.response == "utter_notice_parcel_delivered"
    assert [sender for sender, _ in await decided(engine, notice, clock())] == ["telegram:7", "web:zhou"]


async def grant(shop: SqlMall, title: str, days: int, sender: str = "web:zhou") -> None:
    await shop.grant_coupon(sender, title, 1000, 0, days, title)


async def test_coupons_that_end_are_told_of_once(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    await tell_of_coupons(engine, clock())
    await grant(shop, "五元", 10)
    await grant(shop, "十元", 10)
    await grant(shop, "明天", 1)  # so short that it was just given
    for _ in range(3):
        await tell_of_coupons(engine, clock())
        assert not await waiting(engine)
        clock.advance(days=2)
    clock.advance(days=2)
    for _ in range(2):
        await tell_of_coupons(engine, clock())
    ((who, kind, values),) = await waiting(engine)
    assert (who, kind) == ("C1", "coupon_expiring") and values["title"] in {"五元", "十元"}


async def test_a_coupon_that_ends_within_a_second_is_told_of_once_and_not_lost(
    shop: SqlMall, engine: AsyncEngine, clock: Clock
) -> None:
    clock.advance(microseconds=600_000)
    await grant(shop, "五元", KINDS.coupon_days)
    clock.advance(seconds=1)
    for _ in range(2):
        await tell_of_coupons(engine, clock())
        assert [kind for _, kind, _ in await waiting(engine)] == ["coupon_expiring"]


@pytest.mark.parametrize("said, outcome", [(False, Dropped("unsubscribed")), (True, None), (None, None)])
async def test_offers_go_to_those_who_want_them(
    shop: SqlMall, engine: AsyncEngine, clock: Clock, said: bool | None, outcome: object
) -> None:
    notices_of = Notices(engine, clock)
    if said is not None:
        assert await notices_of.choose("web:zhou", not said) and await notices_of.choose("web:zhou", said)
    assert not await notices_of.choose("web:guest", False)
    await tell_of_coupons(engine, clock())
    await grant(shop, "五元", 4)
    clock.advance(days=2)
    await tell_of_coupons(engine, clock())
    found = await decided(engine, await take(engine, clock()), clock())
    assert found == outcome if outcome else found[0][0] == "web:zhou"


async def test_one_offer_a_day(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for number, about in enumerate(("coupons:a", "coupons:b")):
            values = {"title": about}
            await notices.notify(
                session, "C1", "coupon_expiring", values, about=about, cause=str(number), at=clock(), now=clock()
            )
    first = await take(engine, clock())
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        assert await notices.told(session, first, clock())
        assert not await notices.told(session, first, clock())
    second = await take(engine, clock())
    tomorrow = datetime(2026, 3, 12, 0, 0, tzinfo=UTC)  # eight in the morning in Shanghai
    assert await decided(engine, second, clock()) == Retry("budget", tomorrow)
    clock.now = tomorrow
    assert not isinstance(await decided(engine, second, clock()), Retry)


# ---- goods that somebody waits for


async def test_goods_that_are_there_again(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    asked = Notices(engine, clock)
    assert await asked.watch("web:guest", ["P3-1"]) is Watched.STRANGER
    assert await asked.watch("web:zhou", ["P1-1"]) is Watched.IN_STOCK
    for round in range(2):
        for _ in range(2):  # asked twice, told once
            assert await asked.watch("web:zhou", ["P3-1"]) is Watched.YES
        await tell_of_stock(engine, clock())
        assert not await waiting(engine)
        await office(shop).receive_stock(OPERATOR, "W-S1", "P3-1", 1, f"more {round}")
        for _ in range(2):
            await tell_of_stock(engine, clock())
        ((who, kind, values),) = await waiting(engine)
        assert (who, kind, values["spec"]) == ("C1", "back_in_stock", "礼盒装")
        notice = await take(engine, clock())
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            await notices.told(session, notice, clock())
        await office(shop).adjust_stock(OPERATOR, "W-S1", "P3-1", -1, "broken", f"less {round}")
        clock.advance(hours=1)


async def test_what_two_wanted_who_are_one_is_told_to_the_one(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    asked = Notices(engine, clock)
    await asked.watch("web:he", ["P3-1"])
    await asked.choose("web:he", False)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await merging.merge(session, WANG, "C1", "C2", clock())
    await office(shop).receive_stock(OPERATOR, "W-S1", "P3-1", 1, "more")
    await tell_of_stock(engine, clock())
    assert [who for who, _, _ in await waiting(engine)] == ["C1"]
    async with AsyncSession(engine) as session:
        assert not await telling.wants_marketing(session, "C1")
    await asked.choose("web:he", True)
    async with AsyncSession(engine) as session:
        assert await telling.wants_marketing(session, "C1")


# ---- what goes to many


async def many(engine: AsyncEngine, number: int) -> None:
    """So many customers who can be written to, besides the two."""
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for each in range(number):
            customer_id = f"M{each:04}"
            session.add(
                models.Customer(
                    id=customer_id,
                    name="某人",
                    phone=f"137{each:08}",
                    phone_index=models.phone_index(f"137{each:08}"),
                    address="杭州",
                    region="330100",
                    registered_at=NOW,
                )
            )
        await session.flush()
        for each in range(number):
            sender = f"web:m{each}"
            await people.bind(session, sender, f"M{each:04}", OPERATOR, NOW)
            await people.meet(session, sender, NOW)


async def step(engine: AsyncEngine, actor: Actor, number: int, name: str, now: datetime) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await broadcasts.step(session, actor, number, name, now)


async def test_a_broadcast(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    await many(engine, KINDS.per_second * 2)
    everyone = KINDS.per_second * 2 + 1  # 何军 lives in Hangzhou, too
    segment = segments.segment_of({"kind": "region", "region": "330000"})
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        number = await broadcasts.draft(session, WANG, "新茶到店", "P1", segment, clock())
    with pytest.raises(InvalidTransition):
        await step(engine, LI, number, "approve", clock())
    await step(engine, WANG, number, "propose", clock())
    with pytest.raises(NotPermitted):
        await step(engine, WANG, number, "approve", clock())
    with pytest.raises(NotPermitted):
        await step(engine, Actor(Role.SUPPLIER, "P-s", supplier_id="S1"), number, "approve", clock())
    assert not await broadcasts.take_some(engine, clock())
    await step(engine, LI, number, "approve", clock())

    assert await asyncio.gather(*(broadcasts.take_some(engine, clock()) for _ in range(3))) != [False] * 3
    assert len(await waiting(engine)) == KINDS.per_second  # in this second
    await step(engine, WANG, number, "pause", clock())
    clock.advance(seconds=5)
    assert not await broadcasts.take_some(engine, clock())
    await step(engine, LI, number, "resume", clock())
    while await broadcasts.take_some(engine, clock()):
        clock.advance(seconds=1)
    found = await waiting(engine)
    assert len({who for who, _, _ in found}) == len(found) == everyone
    assert found[0][2]["text"].startswith("新茶到店") and KINDS.footer in found[0][2]["text"]
    async with AsyncSession(engine) as session:
        (shown,) = await broadcasts.newest(session, LI, 10)
    assert (shown.state, shown.total, shown.taken) == ("done", everyone, everyone)
    assert shown.results == [(None, "pending", everyone)]
    assert (shown.drafted_by, shown.approved_by, shown.mine) == ("小王", "小李", False)


async def test_a_broadcast_that_gives_a_coupon_gives_each_one(shop: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    """Paused, resumed, taken from the beginning again, and by three at once; those who want no offers get none."""
    await many(engine, KINDS.per_second + 1)
    gift = Gift(title="回馈券", off_cents=990, min_spend_cents=0, days=7)
    segment = segments.segment_of({"kind": "region", "region": "330000"})
    row = models.Broadcast
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        number = await broadcasts.draft(session, WANG, "谢谢您", None, segment, clock(), gift)
        customers = (await session.scalars(segments.customers_of(segment, clock()))).all()
        await telling.choose(session, customers[0], False, clock())
    await step(engine, WANG, number, "propose", clock())
    await step(engine, LI, number, "approve", clock())
    await asyncio.gather(*(broadcasts.take_some(engine, clock()) for _ in range(3)))
    await step(engine, WANG, number, "pause", clock())
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(update(row).where(row.id == number).values(position=""))
    await step(engine, LI, number, "resume", clock())
    clock.advance(seconds=5)
    while await broadcasts.take_some(engine, clock()):
        clock.advance(seconds=1)
    coupon = models.Coupon
    async with AsyncSession(engine) as session:
        held = (
            await session.execute(select(coupon.customer_id, coupon.off_cents).where(coupon.title == "回馈券"))
        ).all()
    assert sorted(held) == [(each, 990) for each in sorted(customers[1:])]
    text = (await waiting(engine))[0][2]["text"]
    assert text.startswith("谢谢您\n") and "9.90 元" in text and "7 天" in text and text.endswith(KINDS.footer)


@pytest.mark.parametrize(
    "segment, customers",
    [
        ({"kind": "everybody"}, ["C1", "C2"]),
        ({"kind": "bought", "days": 30}, ["C1", "C2"]),
        ({"kind": "bought", "days": 1}, []),
        ({"kind": "category", "category": "月饼"}, ["C2"]),
        ({"kind": "coupon"}, ["C1"]),
        ({"kind": "region", "region": "000000"}, []),
    ],
)
async def test_segments(
    shop: SqlMall, engine: AsyncEngine, clock: Clock, segment: dict[str, Any], customers: list[str]
) -> None:
    await grant(shop, "五元", 4)
    query = segments.customers_of(segments.segment_of(segment), clock())
    async with AsyncSession(engine) as session:
        found = (await session.scalars(query)).all()
        assert await broadcasts.count(session, segments.segment_of(segment), clock()) == len(found)
    assert sorted(found) == customers
