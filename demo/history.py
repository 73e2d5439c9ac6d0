"""Eighteen months of orders: who buys what and when, and how far each order has come by now."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import accumulate
from random import Random

from demo import parcels, prices, seasons
from demo.goods import Article, Sku
from demo.parcels import Fate, Parcel
from demo.people import Person, Region
from mall_adapter.policy import Trade
from mall_adapter.promises import promises
from mall_adapter.values import OrderStatus

DAYS = 548
"""Eighteen months."""

_RECEIPT_CONFIRMED_AFTER = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Line:
    article: Article
    sku: Sku
    quantity: int
    unit_price_cents: int
    activated_at: datetime | None = None
    discount_cents: int = 0

    @property
    def cents(self) -> int:
        return self.quantity * self.unit_price_cents

    @property
    def paid_cents(self) -> int:
        return self.cents - self.discount_cents


@dataclass(frozen=True, slots=True)
class Sale:
    """An order as it stands now."""

    id: str
    person: Person
    placed_at: datetime
    status: OrderStatus
    ships_by: datetime | None
    delivered_at: datetime | None
    lines: list[Line]
    parcel: Parcel | None
    coupon_id: str | None = None

    @property
    def cents(self) -> int:
        """Of the goods, before a coupon takes something off."""
        return sum(line.cents for line in self.lines)


def invent_sales(
    rng: Random, articles: list[Article], people: list[Person], regions: dict[str, Region], today: date, count: int
) -> list[Sale]:
    """``count`` orders of the days before ``today``, oldest first. ``people``: the longest registered first."""
    market = Market(rng, articles, people, today)
    now = seasons.midnight(today)
    days = seasons.days_before(today, DAYS)
    busy = [
        seasons.demand(day) * market.total(day) * (1 + number / DAYS)  # the mall doubles in these months
        for number, day in enumerate(days)
    ]
    sales = []
    for day, orders in sorted(Counter(rng.choices(days, busy, k=count)).items()):
        numbers = rng.sample(range(10**6), orders)
        for number, placed_at in zip(numbers, sorted(seasons.moment(rng, day) for _ in range(orders)), strict=True):
            person = market.buyer(placed_at)
            lines = market.basket(day)
            sales.append(_settle(rng, f"ORD{day:%y%m%d}{number:06}", person, placed_at, lines, regions, now))
    return sales


class Market:
    """Draws buyers and baskets. Few people and few goods make most of the trade."""

    def __init__(self, rng: Random, articles: list[Article], people: list[Person], today: date) -> None:
        self._rng = rng
        self._today = today
        self._articles = articles
        self._people = people
        self._registered = [person.registered_at for person in people]
        self._loyalty = list(accumulate(min(rng.paretovariate(1.2), 25) for _ in people))
        ranks = list(range(len(articles)))
        rng.shuffle(ranks)
        self._fame = [  # cheap things sell more often, and what is launched is talked about
            (rank + 8) ** -0.8 * article.skus[0].price_cents ** -0.3 * (3 if article.presale_days else 1)
            for rank, article in zip(ranks, articles, strict=True)
        ]
        self._sku_shares = {
            article.id: [rng.uniform(0.2, 1) / number for number in range(1, len(article.skus) + 1)]
            for article in articles
        }
        self._same_category = {
            category: [article for article in articles if article.category == category]
            for category in {article.category for article in articles}
        }
        self._shares: dict[date, list[float]] = {}

    def _cumulative(self, day: date) -> list[float]:
        if day not in self._shares:
            appetites = {season: seasons.appetite(season, day) for season in (None, *seasons.Season)}
            self._shares[day] = list(
                accumulate(
                    fame * appetites[article.season] for fame, article in zip(self._fame, self._articles, strict=True)
                )
            )
        return self._shares[day]

    def total(self, day: date) -> float:
        """How much all goods together are wanted on a day."""
        return self._cumulative(day)[-1]

    def buyer(self, at: datetime) -> Person:
        registered = bisect_left(self._registered, at)
        drawn = self._rng.random() * self._loyalty[registered - 1]
        return self._people[bisect_left(self._loyalty, drawn, hi=registered - 1)]

    def basket(self, day: date) -> list[Line]:
        """One to four lines. Courses go with courses; what ships later or is made to order goes alone."""
        first = self._article(day)
        chosen = [first]
        wanted = self._rng.choices((1, 2, 3, 4), (60, 25, 11, 4))[0]
        if first.presale_days or first.custom_made:
            wanted = 1
        for _ in range(wanted - 1):
            alike = self._rng.random() < 0.35
            other = self._rng.choice(self._same_category[first.category]) if alike else self._article(day)
            together = (other.supplier.trade is Trade.COURSE) == (first.supplier.trade is Trade.COURSE)
            if together and other not in chosen and not other.presale_days and not other.custom_made:
                chosen.append(other)
        return [self._line(article, day) for article in chosen]

    def _article(self, day: date) -> Article:
        return self._rng.choices(self._articles, cum_weights=self._cumulative(day))[0]

    def _line(self, article: Article, day: date) -> Line:
        sku = self._rng.choices(article.skus, self._sku_shares[article.id])[0]
        if article.supplier.trade is Trade.COURSE or article.custom_made or sku.price_cents > 50_000:
            quantity = 1
        elif article.season in {seasons.Season.MID_AUTUMN, seasons.Season.SPRING_FESTIVAL}:  # presents
            quantity = self._rng.choices((1, 2, 3, 6), (55, 27, 12, 6))[0]
        else:
            quantity = self._rng.choices((1, 2, 3, 5), (84, 12, 3, 1))[0]
        return Line(article, sku, quantity, prices.on(article, sku, day, self._today))


def _settle(
    rng: Random,
    order_id: str,
    person: Person,
    placed_at: datetime,
    lines: list[Line],
    regions: dict[str, Region],
    now: datetime,
) -> Sale:
    """What became of an order by now."""
    awaited = now - placed_at < promises().payment_within
    if rng.random() < (0.12 if awaited else 0.035):
        status = OrderStatus.PENDING_PAYMENT if awaited else OrderStatus.CANCELLED
        return Sale(order_id, person, placed_at, status, None, None, lines, None)
    if rng.random() < 0.015:
        return Sale(order_id, person, placed_at, OrderStatus.CANCELLED, None, None, lines, None)
    if lines[0].article.supplier.trade is Trade.COURSE:
        return learn(rng, order_id, person, placed_at, lines, now)

    first = lines[0].article
    ships_by = placed_at + ships_within(lines)
    if first.presale_days or first.custom_made:
        ship_day = (ships_by - timedelta(days=rng.choice((1, 1, 2)))).date()
    else:
        ship_day = placed_at.date() + timedelta(days=rng.choices((0, 1, 2, 3), (25, 58, 14, 3))[0])
    shipped_at = seasons.moment(rng, ship_day, 10, 20)
    if shipped_at < placed_at + timedelta(hours=1):
        shipped_at += timedelta(days=1)
    if shipped_at >= now:
        return wait(order_id, person, placed_at, ships_by, lines)
    rush = seasons.on_sale(placed_at.date()) or seasons.demand(placed_at.date()) < 1
    fate = rng.choices((Fate.LATE, Fate.LOST, Fate.ON_TIME), (9 if rush else 3, 0.4, 96))[0]
    journey = parcels.plan(rng, regions[first.supplier.region], person, shipped_at, fate)
    return travel(rng, order_id, placed_at, ships_by, lines, journey, now)


def ships_within(lines: list[Line]) -> timedelta:
    """How soon after the order the shop promises to ship."""
    first = lines[0].article
    return promises().ships_within(first.presale_days, first.custom_made, 0)


def learn(rng: Random, order_id: str, person: Person, placed_at: datetime, lines: list[Line], now: datetime) -> Sale:
    """Three in four people ever begin a course."""
    begun = []
    for line in lines:
        at = (placed_at + timedelta(hours=0.2 + rng.expovariate(1 / 48))).replace(microsecond=0)
        begun.append(replace(line, activated_at=at if rng.random() < 0.75 and at < now else None))
    return begin(order_id, person, placed_at, begun, now)


def begin(order_id: str, person: Person, placed_at: datetime, lines: list[Line], now: datetime) -> Sale:
    """A course is there as soon as it is paid for."""
    delivered_at = placed_at + timedelta(minutes=2)
    return Sale(order_id, person, placed_at, _received(delivered_at, now), None, delivered_at, lines, None)


def wait(order_id: str, person: Person, placed_at: datetime, ships_by: datetime, lines: list[Line]) -> Sale:
    """Paid, and not shipped yet."""
    status = OrderStatus.PRESALE if lines[0].article.presale_days else OrderStatus.PAID
    return Sale(order_id, person, placed_at, status, ships_by, None, lines, None)


def travel(
    rng: Random,
    order_id: str,
    placed_at: datetime,
    ships_by: datetime,
    lines: list[Line],
    journey: parcels.Journey,
    now: datetime,
) -> Sale:
    """Shipped, and perhaps received."""
    parcel = parcels.send(rng, journey, [line.article for line in lines], now)
    status = _received(parcel.delivered_at, now) if parcel.delivered_at else OrderStatus.SHIPPED
    return Sale(order_id, journey.to, placed_at, status, ships_by, parcel.delivered_at, lines, parcel)


def _received(delivered_at: datetime, now: datetime) -> OrderStatus:
    return OrderStatus.COMPLETED if now - delivered_at > _RECEIPT_CONFIRMED_AFTER else OrderStatus.DELIVERED
