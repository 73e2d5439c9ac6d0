"""What worried customers are offered: which, to whom, how often, for how much, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import yaml
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from mall_adapter import SqlMall, merging, models, notices, offers
from mall_adapter.energy import EnergyRules
from mall_adapter.errors import InvalidTransition, NotFound
from mall_adapter.facts import OfferFacts
from mall_adapter.handoff import ComplaintKind
from mall_adapter.offers import OfferLimits, Offers, OfferTable, Rules
from mall_adapter.offers.claims import weigh
from mall_adapter.offers.experiment import variant_of
from mall_adapter.presale import PresaleMoved
from mall_adapter.rules import BrokenRules
from mall_adapter.values import (
    Feeling,
    FreightPayer,
    Offer,
    OfferKind,
    OfferState,
    OrderStatus,
    ParcelStatus,
    Reason,
    Standing,
    TicketKind,
    TicketRequest,
)
from privacy import current_ring
from privacy.columns import exact_index
from privacy.conversations import conversation_of
from storage import WRITES, EventRow, record
from storage.outbox import Outbox
from tests.mall_adapter.offices import OPERATOR, own_office

from .conftest import NOW, Clock

TABLE = OfferTable.load()
FILE: dict[str, Any] = yaml.safe_load(settings.budgets_file().read_text("utf-8"))
EVERYBODY = {"name": "all", "variants": {"usual": {"share": 100, "percent": 100}}}
LATE = "ORD10003"


def limits(budgets: Mapping[str, int] | None = None, **more: Any) -> OfferLimits:
    """Those of the shop, but that everybody gets what the table says."""
    file = FILE | {"experiment": EVERYBODY} | more
    return OfferLimits(yaml.safe_dump(file | {"budgets": FILE["budgets"] | dict(budgets or {})}, allow_unicode=True))


def shop(engine: AsyncEngine, clock: Clock, kept: OfferLimits | None = None) -> Offers:
    return Offers(engine, Rules(TABLE, kept or limits()), clock)


@pytest.fixture(autouse=True)
async def late(engine: AsyncEngine) -> None:
    """ORD10003 of 周琳 was to be sent yesterday; both customers wrote an hour ago."""
    await change(engine, models.Order, models.Order.id == LATE, ships_by=NOW - timedelta(days=1))
    await change(engine, models.ChannelAccount, models.ChannelAccount.bound_at.is_not(None), heard_at=NOW)


async def change(engine: AsyncEngine, table: type[models.Base], which: Any, **values: Any) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(update(table).where(which).values(values))


async def events(engine: AsyncEngine, kind: str) -> list[dict[str, Any]]:
    async with AsyncSession(engine) as session:
        rows = await session.scalars(select(EventRow).where(EventRow.kind == kind).order_by(EventRow.id))
        return [row.data for row in rows]


async def spent(engine: AsyncEngine) -> dict[str, int]:
    async with AsyncSession(engine) as session:
        rows = (await session.scalars(select(models.OfferBudget))).all()
        return {row.scope.partition(":")[0]: row.spent_cents for row in rows}


async def copies(engine: AsyncEngine, count: int, customer_id: str = "C1") -> list[str]:
    """More late orders, of one customer."""
    ids = [f"ORD5{number:05}" for number in range(count)]
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        for order_id in ids:
            session.add(
                models.Order(
                    id=order_id,
                    customer_id=customer_id,
                    status=OrderStatus.PAID,
                    placed_at=NOW - timedelta(days=5),
                    paid_at=NOW - timedelta(days=5),
                    ships_by=NOW - timedelta(days=1),
                    total_cents=39900,
                    region="310000",
                    recipient_name="收件人",
                    recipient_phone="13800005678",
                    recipient_address="送货地址",
                    phone_tail_index=models.phone_tail_index(order_id, "13800005678"),
                    fulfilments=[models.Fulfilment(id=f"{order_id}-F1", supplier_id="S1", warehouse_id="W-S1")],
                    lines=[
                        models.OrderLine(
                            id=f"{order_id}-1",
                            fulfilment_id=f"{order_id}-F1",
                            sku_id="P1-1",
                            product_name="云跑缓震跑步鞋",
                            spec="黑色 42码",
                            quantity=1,
                            unit_price_cents=39900,
                        )
                    ],
                )
            )
    return ids


# ---- which


POINTS = '"out_min_spend_cents": "0",\n            "out_valid_days": "90"'
"""How the row of points ends."""

USUAL: dict[str, Any] = {
    "feeling": Feeling.WORRY,
    "standing": Standing.LATE,
    "promise_moved": False,
    "paid_cents": 20_000,
    "tickets_last_90_days": 0,
    "offers_last_90_days": 0,
    "supplier_late_percent": 0,
}


@pytest.mark.parametrize(
    ("case", "rule", "kind"),
    [
        ({}, "late", OfferKind.COUPON),
        ({"supplier_late_percent": 20}, "late_again_by_supplier", OfferKind.COUPON),
        ({"supplier_late_percent": 19}, "late", OfferKind.COUPON),
        ({"feeling": Feeling.UNASKED}, "late", OfferKind.COUPON),
        ({"feeling": Feeling.URGE}, "urge_needs_speed", OfferKind.FASTER),
        ({"feeling": Feeling.URGE, "standing": Standing.WAITING}, "urge_needs_speed", OfferKind.FASTER),
        ({"standing": Standing.LOST}, "lost_needs_person", OfferKind.PERSON),
        ({"feeling": Feeling.ANGER, "paid_cents": 100_000}, "dear_late_needs_person", OfferKind.PERSON),
        ({"paid_cents": 2_999}, "small_late", OfferKind.POINTS),
        ({"paid_cents": 2_999, "standing": Standing.PRESALE}, "small_order", OfferKind.NONE),
        ({"paid_cents": 3_000}, "late", OfferKind.COUPON),
        ({"offers_last_90_days": 3}, "frequent_offers", OfferKind.NONE),
        ({"tickets_last_90_days": 6}, "frequent_tickets", OfferKind.NONE),
        ({"standing": Standing.PRESALE}, "presale_worry", OfferKind.COUPON),
        ({"standing": Standing.PRESALE, "promise_moved": True}, "presale_moved", OfferKind.COUPON),
        ({"standing": Standing.PRESALE, "feeling": Feeling.UNASKED}, "facts_are_enough", OfferKind.NONE),
        ({"standing": Standing.WAITING}, "facts_are_enough", OfferKind.NONE),
        ({"standing": Standing.DELIVERED}, "facts_are_enough", OfferKind.NONE),
        ({"standing": Standing.DELIVERED, "feeling": Feeling.ANGER}, "delivered_anger", OfferKind.FREIGHT),
    ],
)
def test_what_the_shops_table_says(case: dict[str, Any], rule: str, kind: OfferKind) -> None:
    outcome = TABLE.decide(OfferFacts(**USUAL | case))
    assert (outcome.rule, outcome.kind) == (rule, kind)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"in_standing": "\\"late\\""', '"in_standing": "\\"lat\\""', "没有“lat”这个词"),
        ('"out_value_cents": "1000"', '"out_value_cents": "0"', "要花钱的安抚，金额不能是 0"),
        ('"out_offer": "\\"faster\\""', '"out_offer": "\\"gift\\""', "没有“gift”这种安抚方式"),
        ('"out_valid_days": "90"', '"out_valid_days": "0"', "优惠券和能量要写有效天数"),
        (POINTS, POINTS.replace('"0"', '"9"'), "只有优惠券有门槛"),
        (
            '"in_paid_cents": "< limits.small_cents"',
            '"in_paid_cents": "< limits.smal_cents"',
            "不认识 limits.smal_cents",
        ),
        ('"in_feeling": "\\"urge\\""', '"in_feeling": ""', "永远用不上"),
    ],
)
def test_a_slip_of_the_pen_is_found(old: str, new: str, told: str) -> None:
    content = settings.offers_file().read_text("utf-8")
    assert old in content
    with pytest.raises(BrokenRules, match=told):
        OfferTable(content.replace(old, new), "offers.json")


def test_every_case_has_a_row() -> None:
    content = settings.offers_file().read_text("utf-8")
    before, _, _ = content.rpartition(',\n          {\n            "_id": "facts_are_enough"')
    with pytest.raises(BrokenRules, match="有情况没有一行管"):
        OfferTable(before + content[content.index('\n        ]\n      }\n    },\n    {\n      "id": "decision"') :])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"good_hours": 0}, "good_hours"),
        ({"experiment": {"name": "x", "variants": {"a": {"share": 99, "percent": 100}}}}, "100"),
        ({"claims": FILE["claims"] | {"refunds": {"from": 3}}}, "points"),
        ({"budgets": {"day_cents": 1}}, "customer_month_cents"),
    ],
)
def test_budgets_are_checked(change: dict[str, Any], told: str) -> None:
    with pytest.raises(BrokenRules, match=told):
        OfferLimits(yaml.safe_dump(FILE | change, allow_unicode=True), "budgets.yml")


def test_variants_are_met_by_their_share_and_stay() -> None:
    experiment = OfferLimits.load().experiment
    met = [variant_of(experiment, f"C{number}")[0] for number in range(10_000)]
    assert met == [variant_of(experiment, f"C{number}")[0] for number in range(10_000)]
    for name, variant in experiment.variants.items():
        assert met.count(name) == pytest.approx(100 * variant.share, abs=200)


def test_the_score_of_claims_tells_what_it_is_made_of() -> None:
    claims = OfferLimits.load().claims
    assert weigh(claims, {"refunds": 2, "rejected": 0, "demands": 0, "accepted": 1}) == (0, "")
    assert weigh(claims, {"refunds": 4, "rejected": 1, "demands": 0}) == (70, "refunds 4: 40, rejected 1: 30")


# ---- to whom, and once


async def test_a_coupon_for_what_is_late_is_there_once_it_is_accepted(engine: AsyncEngine, clock: Clock) -> None:
    house, mall = shop(engine, clock), SqlMall(engine, clock=clock)
    offer = await house.propose("web:zhou", LATE, Feeling.WORRY, "m1")
    assert offer is not None
    assert (offer.kind, offer.value_cents, offer.state) == (OfferKind.COUPON, 1000, OfferState.OFFERED)
    assert offer.good_until == NOW + timedelta(hours=48)
    assert await house.propose("web:zhou", LATE, Feeling.WORRY, "m1") == offer  # the same message, told again
    assert await mall.coupons_of("web:zhou") == []
    for _ in range(3):
        assert (await house.accept("web:zhou", offer.id)).state is OfferState.ACCEPTED
    (coupon,) = await mall.coupons_of("web:zhou")
    assert (coupon.title, coupon.off_cents, coupon.status) == ("安心券", 1000, "unused")
    assert (await house.decline("web:zhou", offer.id)).state is OfferState.ACCEPTED
    assert await spent(engine) == {"customer": 1000, "day": 1000, "supplier": 1000}
    assert [each["state"] for each in await events(engine, "offer_settled")] == ["accepted"]


async def test_never_twice_for_one_order_and_reason(engine: AsyncEngine, clock: Clock) -> None:
    house = shop(engine, clock)
    offer = await house.propose("web:zhou", LATE, Feeling.WORRY, "m1")
    assert offer is not None
    await house.decline("web:zhou", offer.id)
    assert await spent(engine) == {"customer": 0, "day": 0, "supplier": 0}
    clock.advance(days=60)
    assert await house.propose("web:zhou", LATE, Feeling.ANGER, "m2") is None
    with pytest.raises(InvalidTransition):
        await house.accept("web:zhou", offer.id)


@pytest.mark.parametrize("sender", ["web:guest", "web:he", "telegram:7@-100"])
async def test_who_has_not_shown_that_it_is_theirs_gets_none(engine: AsyncEngine, clock: Clock, sender: str) -> None:
    house = shop(engine, clock)
    assert await house.propose(sender, LATE, Feeling.WORRY, "m1") is None
    offer = await house.propose("web:zhou", LATE, Feeling.WORRY, "m1")
    assert offer is not None
    for settle in (house.accept, house.decline):
        with pytest.raises(NotFound):
            await settle(sender, offer.id)


async def test_four_digits_are_no_proof_for_money(engine: AsyncEngine, clock: Clock) -> None:
    mall = SqlMall(engine, clock=clock)
    await mall.prove_ownership("web:guest", LATE, "5678", "k")
    assert await shop(engine, clock).propose("web:guest", LATE, Feeling.WORRY, "m1") is None


async def test_five_orders_one_after_another_get_one(engine: AsyncEngine, clock: Clock) -> None:
    house = shop(engine, clock)
    ids = await copies(engine, 5)
    made = [await house.propose("web:zhou", order_id, Feeling.WORRY, order_id) for order_id in ids]
    assert [offer is not None for offer in made] == [True, False, False, False, False]
    clock.advance(days=15)
    assert await house.propose("web:zhou", ids[1], Feeling.WORRY, "later") is not None


async def test_who_asks_for_money_gets_none_and_it_is_told_why(engine: AsyncEngine, clock: Clock) -> None:
    house = shop(engine, clock)
    assert await house.propose("web:zhou", LATE, Feeling.ANGER, "m1", demands=True) is None
    (refused,) = await events(engine, "offer_refused")
    assert (refused["score"], refused["why"]) == (60, "demands 1: 60")
    assert await house.propose("web:zhou", LATE, Feeling.WORRY, "m2") is None  # calmer words do not help


async def test_what_was_asked_for_in_another_chat_counts(engine: AsyncEngine, clock: Clock) -> None:
    conversation = conversation_of(current_ring(), "web:zhou")
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        session.add(
            models.Complaint(
                conversation=conversation,
                kind=ComplaintKind.COMPENSATION,
                words="赔我一百",
                message_index=exact_index("m", "complaint.message"),
                enquiry=False,
                noted_at=NOW - timedelta(days=89),
            )
        )
    assert await shop(engine, clock).propose("web:zhou", LATE, Feeling.WORRY, "m1") is None
    clock.advance(days=2)
    assert await shop(engine, clock).propose("web:zhou", LATE, Feeling.WORRY, "m2") is None  # refused is refused


async def test_an_order_whose_goods_come_back_is_dealt_with(engine: AsyncEngine, clock: Clock) -> None:
    mall = SqlMall(engine, clock=clock)
    await mall.create_ticket("web:zhou", TicketRequest(LATE, TicketKind.REFUND, Reason.CHANGED_MIND), "t")
    assert await shop(engine, clock).propose("web:zhou", LATE, Feeling.WORRY, "m1") is None


async def test_the_experiment_withholds_and_halves(engine: AsyncEngine, clock: Clock) -> None:
    none = {"name": "none", "variants": {"none": {"share": 100, "percent": 0}}}
    assert await shop(engine, clock, limits(experiment=none)).propose("web:zhou", LATE, Feeling.WORRY, "m1") is None
    half = {"name": "half", "variants": {"half": {"share": 100, "percent": 50}}}
    (order_id,) = await copies(engine, 1, "C2")
    offer = await shop(engine, clock, limits(experiment=half)).propose("web:he", order_id, Feeling.WORRY, "m1")
    assert offer is not None and offer.value_cents == 500
    assigned = await events(engine, "offer_assigned")
    assert [(each["variant"], each["value_cents"]) for each in assigned] == [("none", 0), ("half", 500)]


async def test_free_freight_changes_who_pays_for_the_return(engine: AsyncEngine, clock: Clock) -> None:
    house, mall = shop(engine, clock), SqlMall(engine, clock=clock)
    request = TicketRequest("ORD10001", TicketKind.RETURN, Reason.DISLIKE, ("ORD10001-1",))
    offer = await house.propose("web:zhou", "ORD10001", Feeling.ANGER, "m1")
    assert offer is not None and offer.kind is OfferKind.FREIGHT
    assert (await mall.assess("web:zhou", request)).freight_payer is FreightPayer.CUSTOMER
    await house.accept("web:zhou", offer.id)
    assert (await mall.assess("web:zhou", request)).freight_payer is FreightPayer.SHOP


async def test_points_are_in_the_ledger_at_once_and_once(engine: AsyncEngine, clock: Clock) -> None:
    """A small order: at what the points buy, in a budget of their own, and no part of what may be earned in a day."""
    await change(engine, models.Order, models.Order.id == LATE, total_cents=1990)
    house, mall = shop(engine, clock), SqlMall(engine, clock=clock)
    offer = await house.propose("web:zhou", LATE, Feeling.WORRY, "m1")
    assert offer is not None
    assert (offer.kind, offer.value_cents, offer.points, offer.valid_days) == (OfferKind.POINTS, 200, 40, 90)
    assert (await mall.energy_of("web:zhou")).active == 0
    taken = await asyncio.gather(*(house.accept("web:zhou", offer.id) for _ in range(5)))
    assert {each.state for each in taken} == {OfferState.ACCEPTED}
    assert (await mall.energy_of("web:zhou")).active == 40
    (entry,) = await mall.energy_history("web:zhou", 9)
    assert (entry.points, entry.event, entry.level, entry.waits) == (40, "offer", None, None)
    assert await spent(engine) == {"customer": 200, "points": 200, "supplier": 200}
    clock.advance(days=90)
    assert (await mall.energy_of("web:zhou")).active == 40
    clock.advance(days=1)
    assert (await mall.energy_of("web:zhou")).active == 0


async def test_what_points_buy_may_change_but_not_what_was_told(
    engine: AsyncEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await change(engine, models.Order, models.Order.id == LATE, total_cents=1990)
    house = shop(engine, clock)
    offer = await house.propose("web:zhou", LATE, Feeling.WORRY, "m1")
    assert offer is not None
    dearer = EnergyRules(settings.energy_file().read_text("utf-8").replace("{points: 100, title", "{points: 10, title"))
    monkeypatch.setattr("mall_adapter.energy.energy_rules", lambda: dearer)
    assert (await house.accept("web:zhou", offer.id)).points == 40
    assert (await SqlMall(engine, clock=clock).energy_of("web:zhou")).active == 40


async def test_points_given_survive_a_merger(engine: AsyncEngine, clock: Clock) -> None:
    await change(engine, models.Order, models.Order.id == LATE, total_cents=1990)
    house = shop(engine, clock)
    offer = await house.propose("web:zhou", LATE, Feeling.WORRY, "m1")
    assert offer is not None
    await house.accept("web:zhou", offer.id)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await merging.merge(session, OPERATOR, "C2", "C1", NOW)
    assert (await SqlMall(engine, clock=clock).energy_of("web:he")).active == 40


async def test_faster_reaches_the_colleagues(engine: AsyncEngine, clock: Clock) -> None:
    house = shop(engine, clock)
    offer = await house.propose("web:zhou", LATE, Feeling.URGE, "m1")
    assert offer is not None and offer.kind is OfferKind.FASTER
    for _ in range(2):
        await house.accept("web:zhou", offer.id)
    async with AsyncSession(engine) as session:
        (asked,) = (await session.scalars(select(models.Complaint))).all()
    assert (asked.order_id, asked.enquiry) == (LATE, True)
    assert await spent(engine) == {"customer": 0}


# ---- budgets


@pytest.mark.parametrize(
    ("scope", "limit", "paid"),
    [
        ("day_cents", 1999, 39900),
        ("customer_month_cents", 1999, 39900),
        ("supplier_month_cents", 1999, 39900),
        ("points_day_cents", 399, 1990),
        ("customer_month_cents", 399, 1990),
    ],
)
async def test_no_budget_is_exceeded_by_a_cent(
    engine: AsyncEngine, clock: Clock, scope: str, limit: int, paid: int
) -> None:
    short = limits({scope: limit}, cool_down_days=0)
    ids = await copies(engine, 2)
    await change(engine, models.Order, models.Order.id.in_(ids), total_cents=paid)
    made = [await shop(engine, clock, short).propose("web:zhou", one, Feeling.WORRY, one) for one in ids]
    assert [offer is not None for offer in made] == [True, False]
    assert made[0] is not None
    await shop(engine, clock, short).decline("web:zhou", made[0].id)
    assert await shop(engine, clock, short).propose("web:zhou", ids[1], Feeling.WORRY, "again") is not None


async def test_what_nobody_takes_expires_and_is_free_again(engine: AsyncEngine, clock: Clock) -> None:
    house = shop(engine, clock)
    offer = await house.propose("web:zhou", LATE, Feeling.WORRY, "m1")
    assert offer is not None
    clock.advance(hours=48)
    with pytest.raises(InvalidTransition):
        await house.accept("web:zhou", offer.id)
    assert await house.open_offer("web:zhou") is None
    for _ in range(2):
        await offers.expire(engine, clock())
    assert await spent(engine) == {"customer": 0, "day": 0, "supplier": 0}
    assert [each["state"] for each in await events(engine, "offer_settled")] == ["expired"]


async def test_thirty_at_once_share_a_budget(engine: AsyncEngine, url: str, clock: Clock) -> None:
    """Of one customer and of two, over connections of their own; each order has an offer at most."""
    short = limits({"day_cents": 5000, "customer_month_cents": 3000}, cool_down_days=0)
    mine = await copies(engine, 12)
    houses = [shop(engine, clock, short) for _ in range(3)]
    tries = [houses[n % 3].propose("web:zhou", mine[n % 12], Feeling.WORRY, f"k{n}") for n in range(24)]
    tries += [houses[n % 3].propose("web:he", "ORD20001", Feeling.ANGER, f"k{n}") for n in range(6)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert not [one for one in found if isinstance(one, BaseException)]
    made = [one for one in found if isinstance(one, Offer)]
    assert len(made) == len({one.order_id for one in made})
    assert sum(one.value_cents for one in made if one.order_id != "ORD20001") == 3000
    async with AsyncSession(engine) as session:
        rows = (await session.scalars(select(models.OfferBudget))).all()
        total = await session.scalar(select(func.sum(models.Offer.value_cents)))
    assert {row.scope: row.spent_cents for row in rows}["day:2026-03-11"] == total
    assert all(row.spent_cents <= row.limit_cents for row in rows if row.limit_cents)


# ---- unasked


async def told(engine: AsyncEngine) -> list[tuple[str, str]]:
    async with AsyncSession(engine) as session:
        rows = await session.scalars(select(Outbox).where(Outbox.channel == "notice").order_by(Outbox.id))
        return [(row.recipient, row.kind) for row in rows]


async def presale(engine: AsyncEngine, clock: Clock) -> None:
    """ORD10003 becomes a presale whose day moves."""
    which = models.Order.id == LATE
    await change(engine, models.Order, which, status=OrderStatus.PRESALE, ships_by=NOW + timedelta(days=9))
    event = PresaleMoved(
        subject=f"order:{LATE}", product_id="P1", promised=NOW + timedelta(days=2), ships_by=NOW + timedelta(days=9)
    )
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        record(session, event, OPERATOR, clock())


async def test_a_presale_that_moves_is_made_good_unasked_and_once(engine: AsyncEngine, clock: Clock) -> None:
    rules = Rules(TABLE, limits())
    await presale(engine, clock)
    for _ in range(2):
        while await offers.read_on(engine, rules, clock()):
            pass
    assert await told(engine) == [("C1", "offer")]
    assert (await events(engine, "offer_assigned"))[0]["rule"] == "presale_moved"
    (notice,) = await notices.due(engine, clock())
    assert notice.response == "utter_notice_offer_coupon_for_anything"
    assert (notice.values["yuan"], notice.values["day"], notice.values["time"]) == ("8", "13", "10:00")


async def test_who_wants_no_offers_is_told_of_none_and_none_is_kept_for_them(engine: AsyncEngine, clock: Clock) -> None:
    from mall_adapter.notices import Notices

    await Notices(engine, clock).choose("web:zhou", False)
    await presale(engine, clock)
    await offers.read_on(engine, Rules(TABLE, limits()), clock())
    assert await told(engine) == []
    assert await spent(engine) == {"customer": 0}


async def test_a_parcel_whose_day_is_over_is_seen_without_an_event(engine: AsyncEngine, clock: Clock) -> None:
    rules = Rules(TABLE, limits())
    await offers.offer_for_late_parcels(engine, rules, clock())  # what was late before is not taken up
    await change(engine, models.Order, models.Order.id == "ORD20001", status=OrderStatus.SHIPPED, delivered_at=None)
    await change(
        engine,
        models.Shipment,
        models.Shipment.order_id == "ORD20001",
        status=ParcelStatus.IN_TRANSIT,
        delivered_at=None,
        promised_by=NOW + timedelta(hours=1),
    )
    clock.advance(hours=2)
    for _ in range(2):
        await offers.offer_for_late_parcels(engine, rules, clock())
    assert await told(engine) == [("C2", "offer")]


async def test_where_money_is_not_the_answer_colleagues_are_asked(engine: AsyncEngine, clock: Clock) -> None:
    office, rules = own_office(engine, clock), Rules(TABLE, limits())
    await office.ship(OPERATOR, LATE, "顺丰速运", "SF1", "ship")
    clock.advance(hours=1)
    from mall_adapter.values import ParcelStep

    await office.parcel_moved(OPERATOR, f"{LATE}-S1", ParcelStep(ParcelStatus.LOST, clock()), "lost")
    await offers.read_on(engine, rules, clock())
    async with AsyncSession(engine) as session:
        (asked,) = (await session.scalars(select(models.Complaint))).all()
    assert asked.order_id == LATE
    assert "offer" not in {kind for _, kind in await told(engine)}


async def test_what_follows_within_two_weeks_is_put_down_to_the_offer(engine: AsyncEngine, clock: Clock) -> None:
    house, mall, rules = shop(engine, clock), SqlMall(engine, clock=clock), Rules(TABLE, limits())
    offer = await house.propose("web:zhou", LATE, Feeling.WORRY, "m1")
    assert offer is not None
    clock.advance(days=3)
    await mall.cancel_order("web:zhou", LATE, "c")
    await offers.read_on(engine, rules, clock())
    assert [each["outcome"] for each in await events(engine, "offer_outcome")] == ["cancelled"]


# ---- whose they are


async def test_offers_and_what_was_spent_come_along_when_customers_are_merged(
    engine: AsyncEngine, clock: Clock
) -> None:
    offer = await shop(engine, clock).propose("web:zhou", LATE, Feeling.WORRY, "m1")
    assert offer is not None
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await merging.merge(session, OPERATOR, "C2", "C1", clock())
    assert (await shop(engine, clock).accept("web:he", offer.id)).state is OfferState.ACCEPTED
    async with AsyncSession(engine) as session:
        assert (await session.get_one(models.Offer, offer.id)).customer_id == "C2"
        scopes = {row.scope: row.spent_cents for row in await session.scalars(select(models.OfferBudget))}
    assert scopes["customer:C2:2026-03"] == 1000 and "customer:C1:2026-03" not in scopes
