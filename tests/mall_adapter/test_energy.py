"""Energy: what is earned for whom, when it may be spent, and what becomes of it when what earned it comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlMall, models
from mall_adapter.energy import decide, energy_rules, expire_due, held, release_due, tell_of_expiring
from mall_adapter.energy.ledger import NewLot, earn, hold
from mall_adapter.energy.rules import Earned, EnergyRules
from mall_adapter.errors import EnergyShort, InvalidTransition, NotBound, NotPermitted
from mall_adapter.models.energy import EnergyEntry, EnergyLot, EnergySignal
from mall_adapter.rules import BrokenRules
from mall_adapter.values import EnergyChange, OrderStatus, Reason, TicketKind, TicketRequest
from settings import SHANGHAI
from storage import WRITES, Actor, Role
from storage.outbox import Outbox
from tests.bench.energy import World, play
from tests.mall_adapter.card_events import OWNER, Cards, Sums, reasons, sums
from tests.mall_adapter.offices import OPERATOR, WANG, new_key, office

from .conftest import NOW, Clock

ZHOU, HE = "customer:C1", "customer:C2"
DAY = timedelta(days=1)
RETURN_DAYS = 7


async def give(engine: AsyncEngine, person: str, points: int, at: datetime = NOW, cause: str = "gift") -> None:
    """Points that may be spent."""
    new = NewLot(
        person, Earned.OPENING, "opening", f"{cause} {person}", points, [], at, at, energy_rules().expires(at),
        invitee="account:x", level=1, channel="web", card_id="CARD1",
    )  # fmt: skip
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        assert await earn(session, (await hold(session, person))[person], new, at)


async def deliver(engine: AsyncEngine, order_id: str, at: datetime) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        order = update(models.Order).where(models.Order.id == order_id)
        await session.execute(order.values(status=OrderStatus.DELIVERED, delivered_at=at))


@pytest.fixture
def cards(engine: AsyncEngine) -> Cards:
    return Cards(engine)


# ---- what is earned ----


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("web", (2, 0, 0)), ("telegram", (2, 0, 0)), ("wechat", (0, 0, 0)), ("carrier pigeon", (0, 0, 0))],
)
async def test_an_opening_is_paid_where_the_platform_lets_it(
    cards: Cards, engine: AsyncEngine, channel: str, expected: tuple[int, int, int]
) -> None:
    """The owner's own link earns nothing; the table's two levels are who passed it on, and who had before them."""
    await cards.opened(OWNER, "account:grandparent", NOW)
    await cards.opened("account:grandparent", HE, NOW)
    await cards.opened(HE, ZHOU, NOW)
    await cards.opened(ZHOU, "account:friend", NOW, channel=channel)
    await cards.read(NOW)
    earned = [(await sums(engine, person)).active for person in (ZHOU, HE, OWNER)]
    assert (earned[0], earned[1] - 2, earned[2]) == expected
    assert (await sums(engine, "account:grandparent")).active == 2


async def test_only_somebody_new_and_each_only_once(cards: Cards, engine: AsyncEngine) -> None:
    await cards.opened(OWNER, ZHOU, NOW)
    await cards.opened(OWNER, HE, NOW)
    await cards.opened(ZHOU, "account:a", NOW)
    await cards.opened(HE, "account:a", NOW, new=False)  # by another's link, too
    await cards.opened(ZHOU, "account:b", NOW, new=False)
    await cards.opened(OWNER, ZHOU, NOW, card_id="CARD2")
    await cards.opened(ZHOU, "account:a", NOW, card_id="CARD2")  # told as new, by another card
    await cards.read(NOW)
    await cards.read(NOW)
    assert [(await sums(engine, person)).active for person in (ZHOU, HE)] == [2, 0]


async def test_an_order_of_a_friend_waits_until_it_stays(
    cards: Cards, engine: AsyncEngine, mall: SqlMall, clock: Clock
) -> None:
    """Two levels, and never a third. Delivered on a day, it may go back on the seventh after it, and not on the
    eighth; a ticket that is not settled holds it up."""
    for sharer, opener in pairwise([OWNER, "account:great", "account:grand", HE, "account:buyer"]):
        await cards.opened(sharer, opener, NOW - DAY, channel="wechat")
    await cards.bought("account:buyer", "ORD10003", NOW, channel="wechat")
    await cards.bought("account:buyer", "ORD10003", NOW, channel="wechat", first=False)
    await cards.read(NOW)
    waiting = [(await sums(engine, person)).pending for person in (HE, "account:grand", "account:great", OWNER)]
    assert waiting == [20, 5, 0, 0]
    assert (await mall.energy_of("web:he")).pending == 20

    await deliver(engine, "ORD10003", NOW)
    midnight = datetime(2026, 3, 19, tzinfo=SHANGHAI)  # delivered on the 11th
    for moment, expected in ((midnight - timedelta(seconds=1), 0), (midnight, 20)):
        clock.now = moment
        assert await mall.settle_energy("web:he", new_key()) == expected
    clock.now = NOW
    await mall.create_ticket("web:zhou", TicketRequest("ORD10003", TicketKind.RETURN, Reason.QUALITY), new_key())
    await release_due(engine, RETURN_DAYS, midnight)
    assert (await sums(engine, "account:grand")).pending == 5


async def test_wechat_pays_for_a_friend_who_becomes_a_member(cards: Cards, engine: AsyncEngine) -> None:
    await cards.opened(OWNER, ZHOU, NOW)
    await cards.opened(ZHOU, "account:a", NOW, channel="wechat")
    await cards.bound("account:a", HE, NOW + timedelta(hours=1))
    await cards.bound("account:a", HE, NOW + timedelta(hours=1))  # told again
    await cards.read(NOW)
    assert await sums(engine, ZHOU) == Sums(pending=5)
    await release_due(engine, RETURN_DAYS, NOW + timedelta(hours=24))
    assert await sums(engine, ZHOU) == Sums(pending=5)
    await release_due(engine, RETURN_DAYS, NOW + timedelta(hours=25))
    assert await sums(engine, ZHOU) == Sums(active=5)


async def test_who_was_a_member_before_is_no_new_one(cards: Cards, engine: AsyncEngine, mall: SqlMall) -> None:
    await office(mall).bind(OPERATOR, "wechat:he-two", "C2", new_key())
    await cards.opened(OWNER, ZHOU, NOW + DAY)
    await cards.opened(ZHOU, "account:a", NOW + DAY, channel="wechat")
    await cards.bound("account:a", HE, NOW + 2 * DAY)
    await cards.read(NOW)
    assert await sums(engine, ZHOU) == Sums()


async def test_a_day_of_shanghai_has_a_most(cards: Cards, engine: AsyncEngine) -> None:
    """Sixteen openings in a day are paid as fifteen, and the next day begins at midnight in Shanghai."""
    await cards.opened(OWNER, ZHOU, NOW)
    evening = datetime(2026, 3, 11, 8, 0, tzinfo=SHANGHAI)
    for number in range(16):
        await cards.opened(ZHOU, f"account:{number}", evening + number * timedelta(minutes=30))
    await cards.read(NOW + DAY)
    assert (await sums(engine, ZHOU)).active == 30
    await cards.opened(ZHOU, "account:late", datetime(2026, 3, 11, 23, 59, 59, tzinfo=SHANGHAI))
    await cards.opened(ZHOU, "account:later", datetime(2026, 3, 12, 0, 0, tzinfo=SHANGHAI))
    await cards.read(NOW + DAY)
    assert (await sums(engine, ZHOU)).active == 32


# ---- what is spent ----


async def test_energy_becomes_coupons_once(mall: SqlMall, engine: AsyncEngine) -> None:
    await give(engine, ZHOU, 150)
    key = new_key()
    redeemed = await mall.redeem_energy("web:zhou", 1, key)
    assert (redeemed.points, redeemed.balance, [each.off_cents for each in redeemed.coupons]) == (100, 50, [500])
    assert await mall.redeem_energy("web:zhou", 1, key) == redeemed
    assert await mall.coupons_of("web:zhou") == list(redeemed.coupons)
    with pytest.raises(EnergyShort) as short:
        await mall.redeem_energy("web:zhou", 1, new_key())
    assert (short.value.balance, short.value.price) == (50, 100)
    assert await sums(engine, ZHOU) == Sums(active=50, spent=100)
    for number in (0, 21):
        with pytest.raises(ValueError, match="coupons at once"):
            await mall.redeem_energy("web:zhou", number, new_key())


async def test_nobody_spends_what_is_anothers(mall: SqlMall, engine: AsyncEngine) -> None:
    await give(engine, ZHOU, 500)
    with pytest.raises(EnergyShort):
        await mall.redeem_energy("web:he", 1, new_key())
    for asking in (mall.energy_of("web:guest"), mall.energy_history("web:guest")):
        with pytest.raises(NotBound):
            await asking
    with pytest.raises(NotBound):
        await mall.redeem_energy("web:guest", 1, new_key())
    with pytest.raises(NotBound):
        await mall.settle_energy("web:guest", new_key())


async def test_at_the_same_moment_nothing_is_overdrawn(malls: list[SqlMall], engine: AsyncEngine) -> None:
    """Twelve redemptions over three processes' worth of connections, of energy for five."""
    await give(engine, ZHOU, 380, cause="one")
    await give(engine, ZHOU, 140, NOW + timedelta(minutes=1), cause="other")
    asked = [malls[number % 3].redeem_energy("web:zhou", 1, f"tab {number}") for number in range(12)]
    found = Counter(type(each).__name__ for each in await asyncio.gather(*asked, return_exceptions=True))
    assert found == {"EnergyRedemption": 5, "EnergyShort": 7}
    assert await sums(engine, ZHOU) == Sums(active=20, spent=500)
    assert len(await malls[0].coupons_of("web:zhou")) == 5


async def test_the_oldest_is_spent_first(mall: SqlMall, engine: AsyncEngine) -> None:
    await give(engine, ZHOU, 60, NOW, "younger")
    await give(engine, ZHOU, 60, NOW - 300 * DAY, "older")
    await mall.redeem_energy("web:zhou", 1, new_key())
    async with AsyncSession(engine) as session:
        left = {lot.cause: lot.active for lot in await session.scalars(select(EnergyLot))}
    assert left == {f"older {ZHOU}": 0, f"younger {ZHOU}": 20}


# ---- what goes ----


async def test_a_year_later_what_was_not_spent_is_gone(mall: SqlMall, engine: AsyncEngine, clock: Clock) -> None:
    """What was spent before stays spent: the debit went with its lot. The last day is the same day of the next year."""
    await give(engine, ZHOU, 150, NOW, "first")
    await give(engine, ZHOU, 40, NOW + DAY, "second")
    await mall.redeem_energy("web:zhou", 1, new_key())
    midnight = datetime(2027, 3, 12, tzinfo=SHANGHAI)
    for moment, left in ((midnight - timedelta(seconds=1), 90), (midnight, 40)):
        clock.now = moment
        assert (await mall.energy_of("web:zhou")).active == left
    with pytest.raises(EnergyShort):  # before anybody has written it off
        await mall.redeem_energy("web:zhou", 1, new_key())
    await expire_due(engine, clock.now)
    await expire_due(engine, clock.now)
    assert await sums(engine, ZHOU) == Sums(active=40, spent=100, expired=50)


@pytest.mark.parametrize(
    ("earned", "gone"),
    [("2026-01-31", "2027-02-01"), ("2028-02-29", "2029-03-01"), ("2026-12-31", "2028-01-01")],
)
def test_months_end_where_there_is_no_such_day(house: Path, earned: str, gone: str) -> None:
    at = datetime.fromisoformat(f"{earned}T23:00:00+08:00")
    assert energy_rules().expires(at) == datetime.fromisoformat(f"{gone}T00:00:00+08:00")


async def test_an_order_that_comes_back_takes_its_share(cards: Cards, engine: AsyncEngine) -> None:
    await cards.opened(OWNER, ZHOU, NOW - DAY)
    await cards.opened(ZHOU, "account:buyer", NOW - DAY, new=False)
    conversion = await cards.bought("account:buyer", "ORD20001", NOW)
    for share_bps, expected in ((3333, Sums(pending=14, reversed=6)), (3333, Sums(pending=14, reversed=6))):
        await cards.came_back(conversion, share_bps, NOW)
        await cards.read(NOW)
        assert await sums(engine, ZHOU) == expected
    await release_due(engine, RETURN_DAYS, NOW + 10 * DAY)
    assert await sums(engine, ZHOU) == Sums(active=14, reversed=6)
    await cards.came_back(conversion, 10_000, NOW)
    await cards.read(NOW)
    assert await sums(engine, ZHOU) == Sums(reversed=20)


async def test_what_was_spent_is_owed_and_paid_by_the_next(
    cards: Cards, engine: AsyncEngine, mall: SqlMall, clock: Clock
) -> None:
    """Nothing is forgiven by spending it quickly; what is owed cannot be spent, and is told."""
    await cards.opened(OWNER, ZHOU, NOW - DAY)
    await cards.opened(ZHOU, "account:buyer", NOW - DAY, new=False)
    conversion = await cards.bought("account:buyer", "ORD20001", NOW)
    await cards.read(NOW)
    await release_due(engine, RETURN_DAYS, NOW + 10 * DAY)
    await give(engine, ZHOU, 80)
    await mall.redeem_energy("web:zhou", 1, new_key())
    await cards.came_back(conversion, 10_000, NOW)
    await cards.read(NOW)
    assert await sums(engine, ZHOU) == Sums(spent=80, owed=20)
    told = await mall.energy_of("web:zhou")
    assert (told.active, told.owed, told.balance) == (0, 20, -20)
    with pytest.raises(EnergyShort) as short:
        await mall.redeem_energy("web:zhou", 1, new_key())
    assert short.value.balance == -20
    await give(engine, ZHOU, 15, cause="some")
    assert await sums(engine, ZHOU) == Sums(spent=95, owed=5, reversed=15)
    await give(engine, ZHOU, 15, cause="more")
    assert await sums(engine, ZHOU) == Sums(spent=100, active=10, reversed=20)
    changes = [(each.change, each.points) for each in await mall.energy_history("web:zhou", 20)]
    assert (EnergyChange.TAKEN_BACK, -20) in changes
    assert (EnergyChange.REDEEMED, -100) in changes
    assert sum(points for _, points in changes) == told.balance + 30


async def test_who_declines_to_be_recorded_takes_the_opening_along(cards: Cards, engine: AsyncEngine) -> None:
    await cards.opened(OWNER, ZHOU, NOW)
    number = await cards.opened(ZHOU, "account:a", NOW, signals={"device": "d" * 64})
    await cards.tell("card.forward_ended", NOW, forward_id=number, card_id="CARD1", reason="declined")
    await cards.read(NOW)
    assert await sums(engine, ZHOU) == Sums(reversed=2)
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(EnergySignal)) is None


# ---- what is looked at first ----

SAME = {"device": "1" * 64}


async def test_a_device_of_ones_own_is_no_friend(cards: Cards, engine: AsyncEngine) -> None:
    await cards.opened(OWNER, ZHOU, NOW, signals=SAME)
    await cards.opened(ZHOU, "account:a", NOW, signals=SAME)
    await cards.read(NOW)
    assert await reasons(engine) == [["same_device"]]
    assert await sums(engine, ZHOU) == Sums(held=2)


async def test_a_friend_on_the_way_to_oneself_is_a_circle(cards: Cards, engine: AsyncEngine) -> None:
    """Over the whole path, and over several cards: A brings B, B brings C, and C brings A to another card."""
    await cards.opened(OWNER, "account:a", NOW - 3 * DAY)
    await cards.opened("account:a", "account:b", NOW - 2 * DAY)
    await cards.opened("account:b", ZHOU, NOW - DAY)
    await cards.opened(OWNER, ZHOU, NOW, card_id="CARD2")
    await cards.opened(ZHOU, "account:a", NOW, card_id="CARD2", new=False)
    await cards.bought("account:a", "ORD20001", NOW + DAY, card_id="CARD2")
    await cards.read(NOW)
    assert await reasons(engine) == [[], [], ["cycle"]]


@pytest.mark.parametrize(("friends", "expected"), [(2, 0), (3, 1), (6, 4)])
async def test_a_crowd_at_one_address(cards: Cards, engine: AsyncEngine, friends: int, expected: int) -> None:
    """Also where one of them brings the others."""
    await cards.opened(OWNER, ZHOU, NOW)
    last = ZHOU
    for number in range(friends):
        await cards.opened(last, f"account:{number}", NOW + number * DAY, signals={"address": "a" * 64})
        last = f"account:{number}" if number % 2 else last
    await cards.read(NOW)
    assert len([each for each in await reasons(engine) if "crowd_address" in each]) == expected


async def test_many_at_once_and_much_too_soon(cards: Cards, engine: AsyncEngine) -> None:
    await cards.opened(OWNER, ZHOU, NOW)
    for number in range(11):
        await cards.opened(ZHOU, f"account:{number}", NOW + number * timedelta(seconds=5))
    await cards.opened(ZHOU, "account:late", NOW + DAY)
    await cards.bought("account:late", "ORD20001", NOW + DAY + timedelta(seconds=30))
    await cards.read(NOW)
    assert await reasons(engine) == [*[[]] * 10, ["burst"], [], ["young"]]


async def test_an_order_to_ones_own_door_or_phone(cards: Cards, engine: AsyncEngine) -> None:
    """ORD10001 has the phone of 周琳 on it, who would earn by it."""
    await cards.opened(OWNER, ZHOU, NOW - DAY)
    await cards.opened(ZHOU, "account:a", NOW - DAY, new=False)
    await cards.bought("account:a", "ORD10001", NOW)
    await cards.read(NOW)
    assert await reasons(engine) == [["same_phone"]]


async def test_a_colleague_decides(cards: Cards, engine: AsyncEngine, mall: SqlMall, clock: Clock) -> None:
    await cards.opened(OWNER, ZHOU, NOW, signals=SAME)
    for number in range(3):
        await cards.opened(ZHOU, f"account:{number}", NOW, signals=SAME)
    await cards.read(NOW)
    assert (await mall.energy_of("web:zhou")).held == 6
    assert {each.waits for each in await mall.energy_history("web:zhou")} == {"held"}
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        waiting = await held(session, WANG, 10)
        assert [(each.person, each.points, each.reasons[0]) for each in waiting] == [("周*", 2, "same_device")] * 3
        await decide(session, WANG, waiting[0].id, True, NOW)
        await decide(session, WANG, waiting[1].id, False, NOW)
        await decide(session, WANG, waiting[2].id, False, NOW)
        with pytest.raises(InvalidTransition):
            await decide(session, WANG, waiting[1].id, True, NOW)
        for nobody in (Actor(Role.SALES, "P-wang"), Actor(Role.OPERATOR, "P-C1")):
            with pytest.raises((NotPermitted, InvalidTransition)):
                await decide(session, nobody, waiting[1].id, True, NOW)
    assert await sums(engine, ZHOU) == Sums(active=2, refused=4)
    await cards.opened(ZHOU, "account:new", NOW + DAY)
    await cards.read(NOW)
    assert (await reasons(engine))[-1] == ["refused"]


# ---- people who are one ----


async def test_a_friend_who_turns_out_to_be_oneself(cards: Cards, engine: AsyncEngine) -> None:
    await cards.opened(OWNER, ZHOU, NOW)
    await cards.opened(ZHOU, "account:a", NOW)
    await cards.bound("account:a", ZHOU, NOW)
    await cards.read(NOW)
    assert await sums(engine, ZHOU) == Sums(reversed=2)


async def test_what_an_account_has_earned_comes_along(cards: Cards, engine: AsyncEngine, mall: SqlMall) -> None:
    await cards.opened(OWNER, "account:zhou", NOW)
    await cards.opened("account:zhou", "account:a", NOW)
    await cards.bound("account:zhou", ZHOU, NOW)
    await cards.opened(ZHOU, "account:b", NOW)
    await cards.read(NOW)
    assert (await mall.energy_of("web:zhou")).active == 4
    assert await sums(engine, "account:zhou") == Sums()


async def test_merged_customers_have_one_ledger(cards: Cards, engine: AsyncEngine, mall: SqlMall) -> None:
    """Debts are paid by what the other has; who had invited the other is paid for nobody."""
    await give(engine, ZHOU, 120)
    await give(engine, HE, 100)
    await mall.redeem_energy("web:he", 1, new_key())
    await cards.opened(OWNER, ZHOU, NOW - DAY)
    await cards.opened(ZHOU, HE, NOW - DAY)
    await cards.read(NOW)
    assert (await sums(engine, ZHOU)).active == 122
    await office(mall).merge_customers(WANG, "C1", "C2", new_key())
    assert await sums(engine, ZHOU) == Sums(active=120, spent=100, reversed=2)
    assert await sums(engine, HE) == Sums()
    assert (await mall.energy_of("web:he")).active == 120
    await cards.opened(HE, "account:late", NOW, new=True)  # told under the name of before
    await cards.read(NOW)
    assert (await sums(engine, HE)) == Sums()


async def test_carriers_are_shown_to_who_owns_the_card(cards: Cards, engine: AsyncEngine, mall: SqlMall) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(models.Membership(principal_id="P-C2", role=Role.SALES, granted_at=NOW))
    await cards.tell("card.made", NOW, card_id="CARD1", owner="P-C2", person=HE, title=None)
    await cards.opened(HE, ZHOU, NOW)
    await cards.opened(HE, "account:x", NOW)
    await cards.opened("account:x", "account:y", NOW)
    for number in range(2):
        await cards.opened(ZHOU, f"account:{number}", NOW)
    await cards.read(NOW)
    found = await mall.energy_carriers("web:he")
    assert [(each.name, each.people, each.points) for each in found] == [("周*", 2, 4), (None, 1, 2)]
    for nobody in ("web:zhou", "web:guest"):
        with pytest.raises(NotPermitted):
            await mall.energy_carriers(nobody)


async def test_customers_are_told_what_came_and_what_goes(cards: Cards, engine: AsyncEngine, clock: Clock) -> None:
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await session.execute(update(models.ChannelAccount).values(heard_at=NOW))
    await cards.opened(OWNER, ZHOU, NOW - DAY)
    await cards.opened(ZHOU, "account:buyer", NOW - DAY, new=False)
    await cards.bought("account:buyer", "ORD20001", NOW)
    await cards.read(NOW)
    await tell_of_expiring(engine, energy_rules(), NOW)
    for _ in range(2):
        await release_due(engine, RETURN_DAYS, NOW + 10 * DAY)
    for _ in range(2):
        await tell_of_expiring(engine, energy_rules(), datetime(2027, 3, 5, 3, 0, tzinfo=SHANGHAI))
    async with AsyncSession(engine) as session:
        kinds = list(await session.scalars(select(Outbox.kind).order_by(Outbox.id)))
    assert kinds == ["energy_arrived", "energy_expiring"]


# ---- the rules ----


def changed(*pairs: tuple[str, str]) -> str:
    text = (Path(__file__).parents[2] / "mall_adapter/rules/energy.yml").read_text("utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("level: 2, channels: [web, telegram, api, wechat]", "level: 3, channels: [web]", "earn.2.level"),
        ("channels: [wechat],                     points: 0", "channels: [wechat], points: 2", "wechat bans paying"),
        ("{name: no_opening,     event: opening, level: 1, channels: [wechat]",
         "{name: no_opening,     event: opening, level: 1, channels: [web]", "rows, one is wanted"),
        ("name: no_bind", "name: bind", "stands twice"),
        ("points: 5,  held_back: 1", "points: 5,  held_back: order", "only an order"),
        ("months: 12", "months: 0", "months"),
        ("signal: address", "signal: shoe_size", "crowd.1.signal"),
    ],
)  # fmt: skip
def test_a_table_that_could_pay_wrongly_is_refused(old: str, new: str, fault: str) -> None:
    with pytest.raises(BrokenRules) as broken:
        EnergyRules(changed((old, new)), "energy.yml")
    assert fault in str(broken.value)


def test_other_numbers_are_told_by_their_names() -> None:
    rules = EnergyRules(changed(("points: 20,", "points: 25,"), ("points: 100, title", "points: 90, title")))
    assert (rules.told["energy_order"], rules.told["energy_for_coupon"]) == (25, 90)
    row = rules.row(Earned.ORDER, "wechat", 1)
    assert row is not None
    assert row.points == 25


async def test_movements_are_never_changed(mall: SqlMall, engine: AsyncEngine) -> None:
    """Each is a row of its own: what was there before stays as it was."""

    async def rows() -> list[tuple[object, ...]]:
        async with AsyncSession(engine) as session:
            found = await session.scalars(select(EnergyEntry).order_by(EnergyEntry.id))
            return [(each.id, each.lot_id, each.source, each.target, each.points, each.cause) for each in found]

    await give(engine, ZHOU, 150)
    before = await rows()
    await mall.redeem_energy("web:zhou", 1, new_key())
    await expire_due(engine, NOW + 400 * DAY)
    after = await rows()
    assert after[: len(before)] == before
    assert len(after) == len(before) + 2


async def test_fraud_is_not_worth_it(engine: AsyncEngine) -> None:
    """The same in small as ``python -m tests.bench.energy``."""
    found = await play(engine, World(seed=3, honest=60, gangs=1))
    assert found.earned["honest"] > 300
    assert found.fraud <= 0.04  # 6 of fraud beside 60 honest; the bench has as many for 100
    assert found.wrongly <= 0.02
