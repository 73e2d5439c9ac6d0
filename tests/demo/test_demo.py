"""The demo mall: large enough, believable, the same every time, and its stories always a few days old."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import LargeBinary, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from demo import DemoRefused, seed, unseed, unwanted
from demo.goods import Article, load_articles
from demo.people import load_regions
from demo.seasons import Season, days_after, festival
from demo.seeding import ORDERS
from demo.stories import load_stories
from mall_adapter import SqlMall, is_demo, models, regions
from mall_adapter.errors import TicketExists
from mall_adapter.policy import Trade
from mall_adapter.ticket_steps import state_machine
from mall_adapter.values import OrderStatus, Reason, TicketKind, TicketRequest, TicketStatus
from settings import SHANGHAI
from storage import WRITES, EventRow, Role, create_engine, migrate
from tests.demo.test_place import mark_what_was_seeded
from tests.mall_adapter.offices import new_key

MALL = models.Base.metadata
TODAY = date(2026, 11, 23)
MIDNIGHT = datetime.combine(TODAY, time(), SHANGHAI)
STORIES = {story.id for story in load_stories()}


def run_seed(file: Path, today: date) -> None:
    async def run() -> None:
        await migrate(f"sqlite+aiosqlite:///{file}")
        engine = create_engine(f"sqlite+aiosqlite:///{file}")
        await seed(engine, today, say=lambda _: None)
        await engine.dispose()

    asyncio.run(run())


def read(file: Path) -> Session:
    return Session(sqlalchemy.create_engine(f"sqlite:///{file}"))


def fingerprint(file: Path) -> str:
    """A hash of all that is stored in clear; sealed values and keyed hashes differ from house to house."""
    digest = hashlib.sha256()
    with read(file) as session:
        for table in models.Base.metadata.sorted_tables:
            clear = [
                column
                for column in table.columns
                if not isinstance(column.type, LargeBinary)
                and not isinstance(getattr(column.type, "impl", None), LargeBinary)
                and not column.name.endswith("_index")
            ]
            query = select(*clear).order_by(*table.primary_key.columns)
            for row in session.connection().exec_driver_sql(str(query)):
                digest.update(repr(row).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def file(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo mall of ``TODAY``; tests that write take a copy."""
    file = tmp_path_factory.mktemp("demo") / "mall.db"
    run_seed(file, TODAY)
    return file


@pytest.fixture(scope="module")
def mall(file: Path) -> Iterator[Session]:
    with read(file) as session:
        yield session


@pytest.fixture(scope="module")
def original(file: Path) -> str:
    return fingerprint(file)


@pytest.fixture
def copy(file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(file, tmp_path))


def count(mall: Session, model: type[models.Base], *conditions: Any) -> int:
    return mall.scalar(select(func.count()).select_from(model).where(*conditions)) or 0


def states(mall: Session, query: Select[Any]) -> Counter[Any]:
    return Counter(mall.scalars(query))


# ---- goods ----


def test_there_are_as_many_as_promised(mall: Session) -> None:
    models_and_counts = {
        models.Supplier: 12,
        models.Product: 240,
        models.Customer: 2_000,
        models.Order: ORDERS,
    }
    assert {model: count(mall, model) for model in models_and_counts} == models_and_counts
    assert set(states(mall, select(models.Product.trade)).values()) == {40}
    assert set(states(mall, select(models.Supplier.trade)).values()) == {2}


@pytest.mark.parametrize("article", load_articles(), ids=lambda article: article.id)
def test_a_product_can_be_asked_about(article: Article) -> None:
    assert len(article.attributes) >= 8
    assert all(value.strip() for value in article.attributes.values())
    assert 2 <= len(article.skus) <= 6
    assert len({sku.spec for sku in article.skus}) == len(article.skus)
    assert all(10_00 <= sku.price_cents <= 20_000_00 for sku in article.skus)
    assert article.name.startswith(article.brand)


def test_products_of_a_category_can_be_compared_and_told_apart() -> None:
    articles = load_articles()
    assert len({article.name for article in articles}) == len(articles)
    assert len({tuple(article.attributes.values()) for article in articles}) == len(articles)
    for category in {article.category for article in articles}:
        keys = {tuple(article.attributes) for article in articles if article.category == category}
        assert len(keys) == 1, f"{category}: {keys}"


def test_a_battery_names_a_camera_that_is_sold() -> None:
    articles = load_articles()
    cameras = [article for article in articles if article.category == "相机"]
    batteries = [article for article in articles if article.category == "相机电池"]
    for battery in batteries:
        assert any(
            "拓光年 T" in battery.attributes["兼容机型"] and camera.name.split()[1] in battery.attributes["兼容机型"]
            for camera in cameras
        )


def test_stock_holds_what_unshipped_orders_wait_for(mall: Session) -> None:
    unshipped = (OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE)
    waiting = (
        select(models.OrderLine.sku_id, func.sum(models.OrderLine.quantity))
        .join(models.Order)
        .where(models.Order.status.in_(unshipped))
        .group_by(models.OrderLine.sku_id)
    )
    pieces = dict(mall.execute(waiting).all())
    stock = mall.scalars(select(models.Stock)).all()
    assert {row.sku_id: row.allocated for row in stock if row.allocated} == pieces
    free = [row.on_hand - row.allocated - row.held for row in stock]
    assert min(free) == 0
    assert 0.02 < free.count(0) / len(free) < 0.2


# ---- people ----


def test_customers_live_everywhere_and_most_where_most_people_live(mall: Session) -> None:
    homes: Counter[str] = Counter()
    for code, people in states(mall, select(models.Customer.region)).items():
        homes[regions.around(code)[-2]] += people  # the province
    assert {regions.name_of(code) for code in homes} == set(load_regions())
    assert len(homes) == 34
    assert homes["440000"] > 10 * homes["630000"]  # 广东, 青海


def test_phones_are_well_formed_ring_nowhere_and_are_sealed(mall: Session) -> None:
    customers = mall.scalars(select(models.Customer)).all()
    assert all(len(customer.phone) == 11 and customer.phone.startswith("154") for customer in customers)
    sealed = mall.connection().exec_driver_sql("SELECT phone, name, address FROM customer LIMIT 50").all()
    assert all(isinstance(value, bytes) for row in sealed for value in row)


def test_people_sell_train_operate_and_act_for_each_supplier(mall: Session) -> None:
    held = models.Membership
    roles = states(mall, select(held.role))
    suppliers = set(mall.scalars(select(models.Supplier.id)))
    assert (roles[Role.SALES], roles[Role.OPERATOR], roles[Role.TRAINER]) == (6, 1, 1)
    assert roles[Role.CUSTOMER] == count(mall, models.Customer)
    assert states(mall, select(held.supplier_id).where(held.role == Role.SUPPLIER)) == dict.fromkeys(suppliers, 1)
    assert count(mall, models.Principal, ~models.Principal.demo) == 0
    sells = select(models.Principal.customer_id).join(held).where(held.role == Role.SALES)
    assert {each for each in mall.scalars(sells) if each} == {"C900002"}  # whom a chat can be bound to
    names = [each for each in mall.scalars(select(models.Principal.name)) if each]
    assert len(names) == len(set(names)) == 7 + len(suppliers)


def test_a_demo_of_an_earlier_release_gets_its_people_once(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as database, database:
        database.execute("DELETE FROM membership WHERE role <> 'customer'")
        database.execute("DELETE FROM principal WHERE customer_id IS NULL")
    for _ in range(2):
        run_seed(copy, TODAY)
        with read(copy) as mall:
            assert count(mall, models.Membership, models.Membership.role == Role.SALES) == 6
            assert count(mall, models.Principal, models.Principal.customer_id.is_(None)) > 7


def test_few_customers_and_few_goods_make_most_of_the_trade(mall: Session) -> None:
    orders = sorted(states(mall, select(models.Order.customer_id)).values(), reverse=True)
    assert sum(orders[:400]) > ORDERS * 0.45  # a fifth of the customers
    sold = sorted(
        states(mall, select(models.Sku.product_id).join(models.OrderLine)).values(),
        reverse=True,
    )
    assert sum(sold[:48]) > sum(sold) * 0.4  # a fifth of the goods


# ---- orders through time ----


def sales_by_day(mall: Session, category: str | None = None) -> Counter[date]:
    query = select(models.Order.placed_at)
    if category:
        query = (
            query.join(models.OrderLine)
            .join(models.Sku)
            .join(models.Product)
            .where(models.Product.category == category)
        )
    return Counter(placed_at.astimezone(SHANGHAI).date() for placed_at in mall.scalars(query))


def rate(sales: Counter[date], first: date, last: date) -> float:
    days = (last - first).days + 1
    return sum(sales[first + timedelta(days=number)] for number in range(days)) / days


@pytest.mark.parametrize("year", [2025, 2026])
def test_mooncakes_sell_in_the_weeks_before_mid_autumn(mall: Session, year: int) -> None:
    feast = festival(Season.MID_AUTUMN, year)
    sales, everything = sales_by_day(mall, "月饼"), sales_by_day(mall)
    before = rate(sales, feast - timedelta(days=21), feast - timedelta(days=1))
    after = rate(sales, feast + timedelta(days=7), feast + timedelta(days=37))
    assert before > 20 * after
    assert before > 0.2 * rate(everything, feast - timedelta(days=21), feast - timedelta(days=1))


@pytest.mark.parametrize(
    "festival_day", [date(2025, 6, 18), date(2025, 11, 11), date(2026, 6, 18), date(2026, 11, 11)], ids=str
)
def test_618_and_singles_day_are_peaks(mall: Session, festival_day: date) -> None:
    sales = sales_by_day(mall)
    ordinary = rate(sales, festival_day - timedelta(days=45), festival_day - timedelta(days=20))
    assert sales[festival_day] > 2.5 * ordinary


def test_spring_festival_is_quiet_and_evenings_are_busy(mall: Session) -> None:
    sales = sales_by_day(mall)
    feast = festival(Season.SPRING_FESTIVAL, 2026)
    assert rate(sales, feast, feast + timedelta(days=5)) < 0.6 * rate(
        sales, feast - timedelta(days=30), feast - timedelta(days=5)
    )
    hours = Counter(at.astimezone(SHANGHAI).hour for at in mall.scalars(select(models.Order.placed_at)))
    assert hours[20] + hours[21] > 10 * (hours[3] + hours[4])


@pytest.mark.parametrize(
    ("season", "year", "day"),
    [
        (Season.MID_AUTUMN, 2020, date(2020, 10, 1)),  # together with the National Day
        (Season.MID_AUTUMN, 2025, date(2025, 10, 6)),
        (Season.MID_AUTUMN, 2026, date(2026, 9, 25)),
        (Season.SPRING_FESTIVAL, 2026, date(2026, 2, 17)),
        (Season.DRAGON_BOAT, 2026, date(2026, 6, 19)),
        (Season.MID_AUTUMN, 2031, date(2031, 10, 1)),
    ],
)
def test_lunar_festivals(season: Season, year: int, day: date) -> None:
    assert festival(season, year) == day
    assert days_after(season, day - timedelta(days=21)) == -21


def test_every_state_of_an_order_a_parcel_and_a_ticket_is_there(mall: Session) -> None:
    assert set(states(mall, select(models.Order.status))) == set(OrderStatus)
    parcels = {"in_transit", "delivered", "delayed", "lost"}  # at midnight one is out for delivery by chance alone
    assert set(states(mall, select(models.Shipment.status))) - {"out_for_delivery"} == parcels
    assert set(states(mall, select(models.Ticket.status))) == set(TicketStatus)
    assert count(mall, models.Order, models.Order.status == OrderStatus.PRESALE) >= 10
    late = models.Shipment.delivered_at > models.Shipment.promised_by
    assert 0.01 < count(mall, models.Shipment, late) / count(mall, models.Shipment) < 0.1


def test_time_runs_forward_and_stops_at_today(mall: Session) -> None:
    orders = mall.scalars(select(models.Order).options(sqlalchemy.orm.selectinload(models.Order.shipments))).all()
    for order in orders:
        times = [order.placed_at, *(parcel.shipped_at for parcel in order.shipments), order.delivered_at]
        way = [at for at in times if at]
        assert way == sorted(way), order.id
        assert way[-1] < MIDNIGHT, order.id
    scans = mall.execute(
        select(models.TrackingEvent.shipment_id, models.TrackingEvent.time).order_by(models.TrackingEvent.id)
    ).all()
    assert all(at < MIDNIGHT for _, at in scans)
    ordered = (one[0] != other[0] or one[1] <= other[1] for one, other in pairwise(scans))
    assert all(ordered)
    assert MIDNIGHT - min(order.placed_at for order in orders) > timedelta(days=540)


def test_the_state_of_an_order_fits_its_age_and_its_parcel(mall: Session) -> None:
    received = {OrderStatus.DELIVERED, OrderStatus.COMPLETED}
    unshipped = {OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE, OrderStatus.CANCELLED}
    for order in mall.scalars(select(models.Order).options(sqlalchemy.orm.selectinload(models.Order.shipments))):
        assert (order.delivered_at is not None) == (order.status in received), order.id
        if order.status in unshipped:
            assert order.shipments == [], order.id
        if order.status is OrderStatus.SHIPPED:
            assert order.shipments[0].status not in {"delivered", "created"}, order.id
        if order.status in {OrderStatus.PAID, OrderStatus.PENDING_PAYMENT}:
            assert MIDNIGHT - order.placed_at < timedelta(days=8), order.id
        if order.status is OrderStatus.COMPLETED and order.delivered_at:
            assert MIDNIGHT - order.delivered_at > timedelta(days=10), order.id


def test_money_adds_up(mall: Session) -> None:
    line = models.OrderLine
    lines = select(
        *(line.order_id, func.sum(line.quantity * line.unit_price_cents), func.sum(line.discount_cents), func.count())
    ).group_by(line.order_id)
    found = mall.execute(lines).all()
    orders = {order.id: order for order in mall.scalars(select(models.Order))}
    for order_id, cents, discount_cents, _ in found:
        order = orders[order_id]
        assert order.total_cents == cents - discount_cents + order.freight_cents, order_id
        assert order.discount_cents == discount_cents, order_id
    assert {number for *_, number in found} == {1, 2, 3, 4}
    freight = select(models.Fulfilment.order_id, func.sum(models.Fulfilment.freight_cents))
    for order_id, cents in mall.execute(freight.group_by(models.Fulfilment.order_id)):
        assert orders[order_id].freight_cents == cents
    assert 0.02 < sum(order.freight_cents > 0 for order in orders.values()) / len(orders) < 0.3


def test_a_used_coupon_belongs_to_the_order_that_it_made_cheaper(mall: Session) -> None:
    orders = {order.coupon_id: order for order in mall.scalars(select(models.Order)) if order.coupon_id}
    coupons = {coupon.id: coupon for coupon in mall.scalars(select(models.Coupon)) if coupon.used_at}
    assert orders.keys() == coupons.keys()
    for coupon_id, order in orders.items():
        coupon = coupons[coupon_id]
        assert (coupon.customer_id, coupon.used_at) == (order.customer_id, order.placed_at)
        goods = order.total_cents - order.freight_cents + order.discount_cents
        assert order.discount_cents == min(coupon.off_cents, goods)
        assert goods >= coupon.min_spend_cents


def test_what_was_paid_for_goods_is_what_they_cost_then(mall: Session) -> None:
    listed: dict[str, list[models.Price]] = defaultdict(list)
    for price in mall.scalars(select(models.Price)):
        listed[price.sku_id].append(price)
    bought = select(models.OrderLine, models.Order.placed_at).join(models.Order)
    dearer = 0
    for line, placed_at in mall.execute(bought):
        if placed_at.astimezone(SHANGHAI).date() == TODAY or line.order_id in STORIES:
            continue
        then = [
            price
            for price in listed[line.sku_id]
            if price.valid_from <= placed_at and (price.valid_until is None or placed_at < price.valid_until)
        ]
        assert line.unit_price_cents == min(price.cents for price in then), line.id
        now = [price.cents for price in listed[line.sku_id] if price.valid_until is None]
        dearer += now[0] < line.unit_price_cents and MIDNIGHT - placed_at < timedelta(days=7)
    assert dearer > 3  # price protection has something to do


def test_tickets_went_the_ways_that_the_state_machine_knows(mall: Session) -> None:
    tickets = mall.scalars(select(models.Ticket).options(sqlalchemy.orm.selectinload(models.Ticket.events))).all()
    for ticket in tickets:
        way = [event.status for event in ticket.events]
        assert way[0] is TicketStatus.OPEN
        assert way[-1] is ticket.status
        machine = state_machine(ticket.kind, ticket.freight_payer)
        assert all(to in machine.get(at, ()) for at, to in pairwise(way)), ticket.id
        times = [event.time for event in ticket.events]
        assert times == sorted(times)
        assert times[-1] < MIDNIGHT
        assert ticket.note
    assert len({ticket.reason for ticket in tickets}) >= 8


def test_coupons_are_unused_used_and_expired(mall: Session) -> None:
    coupons = mall.scalars(select(models.Coupon)).all()
    used = [coupon for coupon in coupons if coupon.used_at]
    assert all(coupon.granted_at <= coupon.used_at < coupon.valid_until for coupon in used if coupon.used_at)
    expired = [coupon for coupon in coupons if not coupon.used_at and coupon.valid_until < MIDNIGHT]
    assert min(len(used), len(expired), len(coupons) - len(used) - len(expired)) > 100


# ---- stories ----


async def assess(file: Path, order_id: str, phone_tail: str, line: int = 1, **request: Any) -> str:
    """The rule that decides about one line of a story order, asked at ten in the morning."""
    engine = create_engine(f"sqlite+aiosqlite:///{file}")
    shop = SqlMall(engine, clock=lambda: MIDNIGHT + timedelta(hours=10))
    try:
        await shop.prove_ownership("web:visitor", order_id, phone_tail, new_key())
        wish = {"kind": TicketKind.RETURN, "reason": Reason.DISLIKE, **request}
        decision = await shop.assess(
            "web:visitor", TicketRequest(order_id=order_id, line_ids=(f"{order_id}-{line}",), **wish)
        )
        days = f", {decision.handling_days} days" if decision.auto_approve else ""
        return f"{decision.rule}{days}"
    except TicketExists as exists:
        return f"{exists.ticket.id} {exists.ticket.status}"
    finally:
        await engine.dispose()


LATE = {"kind": TicketKind.REFUND, "reason": Reason.LATE_DELIVERY}
REFUND = {"kind": TicketKind.REFUND, "reason": Reason.CHANGED_MIND}


@pytest.mark.parametrize(
    ("order_id", "request_", "says"),
    [
        ("ORD12345", {}, "seven_days_no_reason, 3 days"),
        ("ORD12346", {"line": 1, "opened": True}, "opened_cosmetics"),
        ("ORD12346", {"line": 2}, "seven_days_no_reason, 3 days"),
        ("ORD12347", {}, "fresh_no_reason"),
        ("ORD12348", LATE, "late_parcel"),
        ("ORD12349", REFUND, "not_shipped"),
        ("ORD12350", REFUND, "not_shipped"),
        ("ORD12351", {}, "no_reason_too_late"),
        ("ORD12352", LATE, "lost_parcel"),
        ("ORD12353", {}, "opened_course"),
        ("ORD12354", {"opened": False}, "over_limit"),
        ("ORD12355", {}, "custom_made"),
        ("ORD12356", {}, "RT12356 approved"),
        ("ORD778899", {}, "seven_days_no_reason, 3 days"),
    ],
)
async def test_each_story_meets_its_rule(copy: Path, order_id: str, request_: dict[str, Any], says: str) -> None:
    assert (await assess(copy, order_id, "5678", **request_)).startswith(says)


async def test_one_story_is_somebody_elses(copy: Path) -> None:
    assert await assess(copy, "ORD66666", "4321", opened=False) == "seven_days_no_reason, 3 days"


@pytest.mark.parametrize(
    ("order_id", "status", "delivered", "goods"),
    [
        ("ORD12345", "delivered", 3, ["跑鞋 黑色 42码"]),
        ("ORD12346", "delivered", 2, ["口红 03 豆沙", "T恤 白 L"]),
        ("ORD12347", "delivered", 1, ["月饼 6 枚"]),
        ("ORD12348", "shipped", None, ["加湿器 4 L"]),
        ("ORD12349", "presale", None, ["扫地机器人 白 水箱版"]),
        ("ORD12350", "paid", None, ["空气炸锅 米白 4.5 L"]),
        ("ORD12351", "completed", 40, ["卫衣 麻灰 L"]),
        ("ORD12352", "shipped", None, ["坚果 30 包"]),
        ("ORD12353", "delivered", 5, ["编程课 录播版"]),
        ("ORD12354", "delivered", 2, ["笔记本电脑 月银 16+512 GB"]),
        ("ORD12355", "delivered", 2, ["定制饰品 18 cm 银白"]),
        ("ORD12356", "delivered", 6, ["针织衫 驼 L"]),
        ("ORD778899", "delivered", 4, ["连衣裙 樱桃红 M"]),
        ("ORD66666", "delivered", 2, ["蓝牙耳机 雾黑"]),
    ],
)
def test_stories_are_as_told(
    mall: Session, order_id: str, status: str, delivered: int | None, goods: list[str]
) -> None:
    order = mall.get_one(models.Order, order_id)
    assert order.status == status
    since = order.delivered_at and (TODAY - order.delivered_at.astimezone(SHANGHAI).date()).days
    assert since == delivered
    assert [f"{line.sku.product.category} {line.spec}" for line in order.lines] == goods
    assert order.recipient_phone[-4:] == ("4321" if order_id == "ORD66666" else "5678")


def test_the_late_parcel_is_late_and_the_lost_one_is_lost(mall: Session) -> None:
    late, lost = (mall.get_one(models.Shipment, f"{order_id}-S1") for order_id in ("ORD12348", "ORD12352"))
    assert (late.status, lost.status) == ("delayed", "lost")
    assert late.promised_by is not None
    assert late.promised_by < MIDNIGHT


# ---- cards ----


def test_a_card_has_travelled_and_a_lead_is_warm(mall: Session) -> None:
    owner = mall.scalar(
        select(models.Principal.customer_id).join(models.Card, models.Card.principal_id == models.Principal.id)
    )
    depths = mall.scalars(select(models.CardForward.depth).order_by(models.CardForward.id)).all()
    order = mall.scalar(select(models.Order).join(models.CardConversion))
    assert (owner, max(depths), len(depths)) == ("C900002", 4, 9)
    assert order is not None and order.status in (OrderStatus.DELIVERED, OrderStatus.COMPLETED)
    kinds = mall.scalars(select(EventRow.kind).order_by(EventRow.id)).all()
    assert [kinds.count(kind) for kind in ("card.made", "card.forwarded", "card.converted", "lead.asked")] == [
        1,
        9,
        1,
        2,
    ]
    offer = mall.scalar(select(models.Offer))
    spent = mall.scalars(select(models.OfferBudget.spent_cents)).all()
    assert offer is not None and spent == [offer.value_cents] * 2


# ---- again ----


def test_the_same_seed_gives_the_same_mall(original: str, tmp_path: Path) -> None:
    again = tmp_path / "again.db"
    run_seed(again, TODAY)
    assert fingerprint(again) == original


def test_seeding_again_on_the_same_day_changes_nothing(copy: Path, original: str) -> None:
    run_seed(copy, TODAY)
    assert fingerprint(copy) == original


def test_on_a_later_day_untouched_stories_move_and_the_rest_stays(copy: Path) -> None:
    async def live() -> None:
        engine = create_engine(f"sqlite+aiosqlite:///{copy}")
        shop = SqlMall(engine, clock=lambda: MIDNIGHT + timedelta(hours=10))
        for order_id in ("ORD12345", "ORD12346", "ORD12350", "ORD12352"):
            await shop.prove_ownership("web:visitor", order_id, "5678", new_key())
        wish = TicketRequest("ORD12345", TicketKind.RETURN, Reason.DISLIKE)
        await shop.create_ticket("web:visitor", wish, "key-1")
        await shop.cancel_order("web:visitor", "ORD12350", "key-2")
        await engine.dispose()

    def ages() -> dict[str, int]:
        with read(copy) as session:
            orders = session.scalars(select(models.Order).where(func.length(models.Order.id) < 11))
            return {order.id: (TODAY - order.placed_at.astimezone(SHANGHAI).date()).days for order in orders}

    def generated() -> list[Any]:
        with read(copy) as session:
            query = select(models.Order.id, models.Order.placed_at).where(func.length(models.Order.id) > 11)
            return list(session.execute(query.order_by(models.Order.id)))

    asyncio.run(live())
    before, rest = ages(), generated()
    run_seed(copy, TODAY + timedelta(days=10))
    moved = {order_id for order_id, age in ages().items() if age == before[order_id] - 10}
    assert set(before) - moved == {"ORD12345", "ORD12350"}
    assert generated() == rest
    with read(copy) as session:
        parcel = session.get_one(models.Shipment, "ORD12346-S1")
        assert parcel.delivered_at == MIDNIGHT + timedelta(days=8, hours=15, minutes=20)
        scans = session.scalars(
            select(models.TrackingEvent.time).where(models.TrackingEvent.shipment_id == parcel.id)
        ).all()
        assert max(scans) == parcel.delivered_at
        ticket = session.get_one(models.Ticket, "RT12356")
        assert ticket.created_at == MIDNIGHT + timedelta(days=9, hours=19, minutes=40)
        proofs = session.scalars(select(models.OwnershipProof.order_id)).all()
        assert "ORD12346" in proofs


# ---- never beside a shop's own ----


def customer(**more: Any) -> models.Customer:
    words = {"name": "周琳", "phone": "13800005678", "phone_index": "1", "address": "延平路 1 号", "region": "310000"}
    return models.Customer(id="OWN1", registered_at=MIDNIGHT, **words | more)


def supplier() -> models.Supplier:
    return models.Supplier(id="OWN1", name="百货一号", trade=Trade.CLOTHING, region="310000")


def order_of_own_with(sku: str) -> list[models.Base]:
    recipient = {"recipient_name": "周琳", "recipient_phone": "13800005678", "recipient_address": "延平路 1 号"}
    order = models.Order(
        id="ORD99900001",
        customer_id="OWN1",
        status=OrderStatus.PAID,
        placed_at=MIDNIGHT,
        total_cents=100,
        region="310000",
        phone_tail_index="1",
        **recipient,
    )
    line = {"product_name": "鞋", "spec": "红", "quantity": 1, "unit_price_cents": 100}
    sent = models.Fulfilment(id=f"{order.id}-F1", order_id=order.id, supplier_id="S01", warehouse_id="W-S01")
    sold = models.OrderLine(id=f"{order.id}-1", order_id=order.id, fulfilment_id=sent.id, sku_id=sku, **line)
    return [customer(), order, sent, sold]


def add(file: Path, *rows: models.Base) -> None:
    with read(file) as session, session.begin():
        for row in rows:
            session.add(row)
            session.flush()


@pytest.mark.parametrize("own", [customer, supplier])
@pytest.mark.parametrize("seeded", [False, True])
def test_it_is_refused_where_a_shop_has_its_own(
    file: Path, tmp_path: Path, own: Callable[[], models.Base], seeded: bool
) -> None:
    shop = tmp_path / "shop.db"
    if seeded:
        shutil.copy(file, shop)
    asyncio.run(migrate(f"sqlite+aiosqlite:///{shop}"))
    add(shop, own())
    before = fingerprint(shop)
    with pytest.raises(DemoRefused, match="自己的顾客或商品"):
        run_seed(shop, TODAY + timedelta(days=10))
    assert fingerprint(shop) == before


def test_removing_it_leaves_nothing_of_it_and_all_of_the_shops(copy: Path) -> None:
    add(copy, customer(), supplier())
    assert removed(copy) > 100_000
    with read(copy) as session:
        left = {table.name: session.scalar(select(func.count()).select_from(table)) for table in MALL.sorted_tables}
        assert session.scalars(select(models.Customer.id)).all() == ["OWN1"]
    assert {name for name, count in left.items() if count} == {"customer", "supplier", "demo", "region"}
    assert removed(copy) == 0


def removed(file: Path) -> int:
    async def run() -> int:
        engine = create_engine(f"sqlite+aiosqlite:///{file}")
        try:
            return await unseed(engine)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def test_nothing_is_removed_that_a_shops_order_holds(copy: Path, mall: Session) -> None:
    sku = mall.scalars(select(models.Sku.id)).first()
    add(copy, *order_of_own_with(str(sku)))
    before = fingerprint(copy)
    with pytest.raises(DemoRefused, match="自己的顾客有订单"):
        removed(copy)
    assert fingerprint(copy) == before


@pytest.mark.parametrize(
    ("demo", "url", "state", "wanted"),
    [
        pytest.param("", "", "new", True, id="a new house"),
        pytest.param("", "", "seeded", True, id="the demo's stories move to today"),
        pytest.param("", "", "removed", False, id="a demo that was removed does not come back"),
        pytest.param("", "given", "new", False, id="another database is not the house's own"),
        pytest.param("", "given", "seeded", True, id="but a demo there goes on"),
        pytest.param("1", "given", "new", True, id="unless somebody asks"),
        pytest.param("1", "", "removed", True, id="unless somebody asks, for a removed one"),
        pytest.param("0", "", "new", False, id="nobody wants it"),
        pytest.param("0", "", "seeded", False, id="nobody wants it any more"),
    ],
)
async def test_when_a_house_starts_with_it(
    house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: str, url: str, state: str, wanted: bool
) -> None:
    address = f"sqlite+aiosqlite:///{tmp_path / 'mall.db'}"
    await migrate(address)
    engine = create_engine(address)
    async with engine.execution_options(**WRITES).begin() as connection:
        if state != "new":
            await connection.execute(insert(models.Demo).values(id=1, seeded_at=MIDNIGHT))
        if state == "seeded":
            values = {"id": "S01", "name": "x", "trade": Trade.FOOD, "region": "310000", "demo": True}
            await connection.execute(insert(models.Supplier).values(values))
    monkeypatch.setenv("DEMO", demo)
    monkeypatch.setenv("DATABASE_URL", url and address)
    assert (await unwanted(engine) is None) is wanted
    assert await is_demo(engine) is (state == "seeded")
    await engine.dispose()


def test_a_demo_from_before_it_was_marked_is_known(copy: Path, original: str) -> None:
    with read(copy) as session, session.begin():  # as an older house has left it
        session.execute(delete(models.Demo))
        for model in (models.Customer, models.Supplier):
            session.execute(update(model).values(demo=False))
    with sqlalchemy.create_engine(f"sqlite:///{copy}").begin() as connection:
        mark_what_was_seeded(connection)
    with read(copy) as session:
        for model in (models.Customer, models.Supplier):
            assert session.scalar(select(func.count()).where(~model.demo)) == 0
        assert session.scalar(select(func.count()).select_from(models.Demo)) == 1
