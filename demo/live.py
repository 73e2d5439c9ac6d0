"""The demo mall lives on: its orders are sent, travel and arrive, new ones come in, goods go back and are paid for.

``python -m mall_adapter live``. Everything happens by the commands that a real mall uses, at the time at which it is
due, and with a key of its own: after a restart nothing happens twice. Whatever is drawn hangs on the seed of the demo
and on what it is drawn for, so the same mall lives the same life. Orders of real customers, and those that stories are
told of, are never touched.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as of_day
from functools import partial
from heapq import heapify, heappop, heappush
from pathlib import Path
from random import Random
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, func, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import selectinload

from demo import history, parcels, seasons, seeding, stories
from demo.after_sales import wish, words_of_step
from demo.goods import Article, load_articles
from demo.parcels import Fate
from demo.people import Person, invent_people, load_regions
from mall_adapter import SqlBackOffice, SqlMall, is_demo, models, orders
from mall_adapter.errors import MallError
from mall_adapter.house_rules import house_policy
from mall_adapter.ticket_steps import state_machine
from mall_adapter.values import Order, OrderStatus, ParcelStatus, ParcelStep, TicketKind, TicketRequest, TicketStatus
from settings import SHANGHAI
from storage import Actor, IdempotencyConflict, Role

log = logging.getLogger(__name__)

ACTOR = Actor(Role.SERVICE, "demo-live")

_LOOKS_AGAIN = timedelta(hours=6)
"""How long it may take until something that others did to an order is gone on from."""
_PAUSES = (5.0, 15.0, 60.0)
"""Seconds until a database that is away is asked again; the last one repeats."""
_LONGEST_SLEEP = 60.0
_BREATH = 0.25
"""Seconds of rest after a step, so that a house that starts is not held up by what its demo has to catch up with."""


# ---- how much, how often, how soon ----

_Share = Annotated[float, Field(ge=0, le=1)]
_Hours = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fates(_Entry):
    late: _Share
    late_in_a_rush: _Share
    lost: _Share


class Requests(_Entry):
    share: _Share
    within_days: Annotated[int, Field(ge=0)]


class Tickets(_Entry):
    approved: _Hours
    goods_received: _Hours
    refunded: _Hours
    exchanged: _Hours
    closed: _Hours
    rejected: _Share


class Pace(_Entry):
    orders_a_day: Annotated[float, Field(ge=0)]
    unpaid: _Share
    paid: _Share
    catch_up_days: Annotated[float, Field(ge=0)]
    ships_after: dict[Annotated[int, Field(ge=0)], Annotated[float, Field(ge=0)]]
    parcels: Fates
    requests: Requests
    tickets: Tickets

    @classmethod
    def load(cls) -> Pace:
        """Raises pydantic's ValidationError."""
        return cls.model_validate(yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8")))


# ---- one step of one order ----


@dataclass(frozen=True, slots=True, order=True)
class Step:
    at: datetime
    key: str
    order_id: str | None = field(compare=False)  # None: an order that is yet to be placed
    do: Callable[[], Awaitable[object]] = field(compare=False)


@dataclass(slots=True)
class _Clock:
    """What the commands take for the present: the moment at which a step is due."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class _Life:
    """An order and all that belongs to it, as it stands in the database."""

    order: models.Order
    tickets: list[models.Ticket] = field(default_factory=list)

    def draw(self, *matter: str) -> Random:
        return _draw(self.order.customer_id, self.order.placed_at.isoformat(), *matter)


def _draw(*matter: str) -> Random:
    """The same for the same matter: numbers are drawn anew in every mall, customers and times are not."""
    return Random(":".join((str(seeding.SEED), *matter)))  # noqa: S311  (a demo, not a secret)


class Live:
    """``start`` is where its time begins; by default, when the newest order of the demo was placed."""

    def __init__(self, engine: AsyncEngine, start: datetime, pace: Pace | None = None) -> None:
        self._engine, self._pace = engine, pace or Pace.load()
        self._clock = _Clock(start)
        self._office, self._mall = SqlBackOffice(engine, self._clock), SqlMall(engine, house_policy(), self._clock)
        self._now = self._looks_again_at = start
        self._agenda: list[Step] = []
        self._market = _Market(start.astimezone(SHANGHAI).date(), self._pace.orders_a_day)
        self._regions = load_regions()
        self._articles = {article.id: article for article in load_articles()}
        self._owners = {story.customer for story in stories.load_stories()}

    async def advance(self, until: datetime, breath: float = 0) -> datetime | None:
        """Does all that is due by ``until``, in the order of time, with so many seconds of rest after each step. When
        something is due next, or None where there is no demo any more."""
        while True:
            if self._looks_again_at <= self._now and not await self._look():
                return None
            target = min(until, self._looks_again_at)
            while self._agenda and self._agenda[0].at <= target:
                await self._go_on(heappop(self._agenda))
                if breath:
                    await asyncio.sleep(breath)
            self._now = max(self._now, target)
            if target == until:
                return min(self._looks_again_at, self._agenda[0].at)

    async def _look(self) -> bool:
        if not await is_demo(self._engine):
            return False
        steps = [self._next(life) for life in await self._read(self._alive())]
        self._agenda = [*(step for step in steps if step), self._order_after(await self._newest())]
        heapify(self._agenda)
        self._looks_again_at = self._now + _LOOKS_AGAIN
        return True

    async def _go_on(self, step: Step) -> None:
        """One step and what follows from it. What a command refuses, because others were quicker, is left until the
        next look."""
        if step.order_id is None:
            heappush(self._agenda, self._order_after(step.at))
        self._clock.now = step.at
        try:
            answer = await step.do()
        except (MallError, IdempotencyConflict, ValueError) as error:
            log.info("%s: %s", step.key, type(error).__name__)
            return
        order_id = answer.id if isinstance(answer, Order) else step.order_id
        for life in await self._read(select(models.Order.id).where(models.Order.id == order_id)):
            following = self._next(life)
            if following and following.key != step.key:
                heappush(self._agenda, following)

    # ---- what there is ----

    def _of_demo(self) -> Select[str]:
        """Orders with which it may do as it likes."""
        customer = models.Customer
        return (
            select(models.Order.id)
            .join(customer, customer.id == models.Order.customer_id)
            .where(customer.demo, customer.id.not_in(self._owners))
        )

    async def _newest(self) -> datetime:
        """When its newest order was placed; so far, and no further, it has lived."""
        newest = select(func.max(models.Order.placed_at)).where(models.Order.id.in_(self._of_demo()))
        async with AsyncSession(self._engine) as session:
            found = (await session.execute(newest)).scalar()
        earliest = self._now - timedelta(days=self._pace.catch_up_days)
        return max(found, earliest) if found else earliest

    def _alive(self) -> Select[str]:
        """Those to which something may still happen."""
        under_way = (OrderStatus.PENDING_PAYMENT, OrderStatus.PAID, OrderStatus.PRESALE, OrderStatus.SHIPPED)
        settled = (TicketStatus.CLOSED, TicketStatus.REJECTED, TicketStatus.CANCELLED)
        with_ticket = select(models.Ticket.order_id).where(models.Ticket.status.not_in(settled))
        lately = self._now - timedelta(days=self._pace.requests.within_days)
        return self._of_demo().where(
            or_(
                models.Order.status.in_(under_way),
                models.Order.delivered_at > lately,
                models.Order.id.in_(with_ticket),
            )
        )

    async def _read(self, ids: Select[str]) -> list[_Life]:
        order, ticket = models.Order, models.Ticket
        whole = (
            selectinload(order.lines).joinedload(models.OrderLine.sku),
            selectinload(order.shipments).options(
                selectinload(models.Shipment.events), selectinload(models.Shipment.lines)
            ),
        )
        async with AsyncSession(self._engine) as session:
            found = (await session.scalars(select(order).where(order.id.in_(ids)).options(*whole))).all()
            tickets: dict[str, list[models.Ticket]] = defaultdict(list)
            of_orders = (
                select(ticket)
                .where(ticket.order_id.in_(ids))
                .options(selectinload(ticket.events), selectinload(ticket.lines))
            )
            for each in await session.scalars(of_orders.order_by(ticket.id)):
                tickets[each.order_id].append(each)
            return [_Life(each, tickets[each.id]) for each in found]

    # ---- what comes next ----

    def _next(self, life: _Life) -> Step | None:
        steps = [*self._paid(life), *self._sent(life), *self._moved(life), *self._settled(life), *self._asked(life)]
        return min(steps, default=None)

    def _paid(self, life: _Life) -> Sequence[Step]:
        """Later on the day of the order, or never: then the house itself gives its goods free again."""
        order, rng = life.order, life.draw("pay")
        if order.status is not OrderStatus.PENDING_PAYMENT or rng.random() >= self._pace.paid:
            return []
        at = (order.placed_at + timedelta(hours=rng.uniform(0.05, 12))).replace(microsecond=0)
        if order.pay_by is None or not self._now - _LOOKS_AGAIN < at < order.pay_by:
            return []
        key = f"pay:{order.id}"
        return [Step(at, key, order.id, partial(self._office.pay_order, ACTOR, order.id, key))]

    def _sent(self, life: _Life) -> Sequence[Step]:
        """What waits, a parcel for each supplier; what is in a ticket waits for it."""
        order = life.order
        if order.status not in {OrderStatus.PAID, OrderStatus.PRESALE}:
            return []
        open_tickets = [each for each in life.tickets if each.status in (TicketStatus.OPEN, TicketStatus.APPROVED)]
        held = {line.order_line_id for each in open_tickets for line in each.lines}
        together: dict[str, dict[str, int]] = defaultdict(dict)
        by_id = {line.id: line for line in order.lines}
        for line_id, pieces in orders.unsent(order).items():
            if line_id not in held:
                together[self._article(by_id[line_id]).supplier.id][line_id] = pieces
        steps = []
        for supplier, waiting in sorted(together.items()):
            lines = [by_id[line_id] for line_id in waiting]
            rng = life.draw("send", supplier)
            carrier = parcels.carrier_of(rng, [self._article(line) for line in lines])
            number = parcels.number_of(rng, carrier)
            key = f"send:{order.id}:{supplier}:{len(order.shipments)}"

            send = partial(self._office.ship, ACTOR, order.id, carrier, number, key, waiting)
            steps.append(Step(self._leaves(rng, order, lines), key, order.id, send))
        return steps

    def _leaves(self, rng: Random, order: models.Order, lines: Sequence[models.OrderLine]) -> datetime:
        promise = max((line.ships_by for line in lines if line.ships_by), default=order.ships_by)
        later = order.status is OrderStatus.PRESALE or any(self._article(line).custom_made for line in lines)
        if promise and (later or any(line.ships_by for line in lines)):
            day = promise.astimezone(SHANGHAI).date() - timedelta(days=rng.choice((1, 1, 2)))
        else:
            days, weights = zip(*self._pace.ships_after.items(), strict=True)
            day = order.placed_at.astimezone(SHANGHAI).date() + timedelta(days=rng.choices(days, weights)[0])
        at = seasons.moment(rng, day, 10, 20)
        return at if at >= order.placed_at + timedelta(hours=1) else at + timedelta(days=1)

    def _moved(self, life: _Life) -> Sequence[Step]:
        """The next scan of each parcel that is still on its way."""
        steps = []
        for parcel in life.order.shipments:
            if parcel.status in (ParcelStatus.DELIVERED, ParcelStatus.LOST) or not parcel.shipped_at:
                continue
            told = max((event.time for event in parcel.events), default=parcel.shipped_at)
            scan, arrives_at = self._scan(life, parcel, told)
            delayed = scan.status is ParcelStatus.DELAYED
            by = datetime.combine(arrives_at.astimezone(SHANGHAI), of_day(23, 59), SHANGHAI) if delayed else None
            step = ParcelStep(scan.status, scan.time, scan.place, scan.text, by)
            key = f"move:{parcel.id}:{scan.time.isoformat()}"

            move = partial(self._office.parcel_moved, ACTOR, parcel.id, step, key)
            steps.append(Step(scan.time, key, parcel.order_id, move))
        return steps

    def _scan(self, life: _Life, parcel: models.Shipment, told: datetime) -> tuple[parcels.Scan, datetime]:
        """The first scan after what was ``told``, and when the parcel arrives."""
        rng = life.draw("way", parcel.id.rpartition("-")[2])
        shipped_at = (parcel.shipped_at or told).astimezone(SHANGHAI)
        to = self._market.people[life.order.customer_id]
        fates, rush = self._pace.parcels, seasons.on_sale(shipped_at.date()) or seasons.demand(shipped_at.date()) < 1
        late = fates.late_in_a_rush if rush else fates.late
        weights = (late, fates.lost, max(0.0, 1 - late - fates.lost))
        fate = rng.choices((Fate.LATE, Fate.LOST, Fate.ON_TIME), weights)[0]
        origin = self._regions[self._article(life.order.lines[0]).supplier.region]
        way = parcels.plan(rng, origin, to, shipped_at, fate)
        promised = (parcel.promised_by or way.promised_by).astimezone(SHANGHAI)
        if fate is Fate.ON_TIME and (parcel.status == ParcelStatus.DELAYED or promised < told):
            fate = Fate.LATE  # as the seed had drawn it
        if fate is Fate.ON_TIME:
            arrives = min(way.arrives_at, promised - timedelta(hours=rng.uniform(3, 20)))
        else:
            arrives = promised + timedelta(days=rng.randint(1, 5), hours=rng.uniform(0, 6))
        way = replace(way, fate=fate, promised_by=promised, arrives_at=max(arrives, shipped_at + timedelta(hours=8)))
        scans = parcels.scans_of(rng, way, parcel.carrier)
        if found := next((scan for scan in scans if scan.time > told), None):
            return found, way.arrives_at
        # it was sent by somebody else's plan and is later than ours: the last of the way, and soon
        last = scans[-1] if parcel.status == ParcelStatus.OUT_FOR_DELIVERY or fate is Fate.LOST else scans[-2]
        soon = told + timedelta(hours=life.draw("soon", told.isoformat()).uniform(1, 5))
        return replace(last, time=soon.replace(microsecond=0)), soon

    def _settled(self, life: _Life) -> Sequence[Step]:
        """The next step of each ticket, by whoever takes it in the shop."""
        steps = []
        for ticket in life.tickets:
            rng = life.draw("ticket", ticket.created_at.isoformat(), ticket.status)
            to = self._goes_to(rng, ticket)
            if to is None:
                continue
            waits = self._pace.tickets.approved if to is TicketStatus.REJECTED else getattr(self._pace.tickets, to)
            hours = rng.uniform(*waits)
            last = max((event.time for event in ticket.events), default=ticket.created_at)
            at = (last + timedelta(hours=hours)).replace(microsecond=0)
            note, key = words_of_step(rng, to), f"ticket:{ticket.id}:{to}"

            settle = partial(self._office.advance_ticket, ACTOR, ticket.id, to, note, key)
            steps.append(Step(at, key, ticket.order_id, settle))
        return steps

    def _goes_to(self, rng: Random, ticket: models.Ticket) -> TicketStatus | None:
        ways = state_machine(ticket.kind, ticket.freight_payer).get(ticket.status, set())
        if ticket.status is TicketStatus.OPEN and rng.random() < self._pace.tickets.rejected:
            return TicketStatus.REJECTED
        onward = ways - {TicketStatus.REJECTED, TicketStatus.CANCELLED}
        return min(onward, default=None)

    def _asked(self, life: _Life) -> Sequence[Step]:
        """What its customer wants to give back, or have the money of: once an order."""
        order = life.order
        if life.tickets:
            return []
        rng = life.draw("ask")
        if order.status is OrderStatus.DELIVERED and order.delivered_at:
            if rng.random() >= self._pace.requests.share:
                return []
            line = rng.choice(order.lines)
            kind, reason, note = wish(rng, self._article(line).supplier.trade)
            lines: tuple[str, ...] = (line.id,)
            at = order.delivered_at + timedelta(minutes=20 + rng.expovariate(1 / (36 * 60)))
        elif lost := [parcel for parcel in order.shipments if parcel.status == ParcelStatus.LOST]:
            kind, reason, note = wish(rng, None)
            lines = tuple(held.order_line_id for parcel in lost for held in parcel.lines)
            at = max(event.time for parcel in lost for event in parcel.events) + timedelta(hours=rng.uniform(2, 30))
        else:
            return []
        if at < self._now - _LOOKS_AGAIN:
            return []  # before it began to live, or refused
        opened = False if kind is TicketKind.RETURN else None
        request = TicketRequest(order.id, kind, reason, lines, opened, note)
        sender, key = f"demo:{order.customer_id}", f"ask:{order.id}"

        async def ask() -> None:
            await self._office.bind(ACTOR, sender, order.customer_id, f"bind:{order.customer_id}")
            await self._mall.create_ticket(sender, request, key)

        return [Step(at.replace(microsecond=0), key, order.id, ask)]

    def _article(self, line: models.OrderLine) -> Article:
        return self._articles[line.sku.product_id]

    # ---- who buys ----

    def _order_after(self, moment: datetime) -> Step:
        at = self._market.next_after(moment)
        buyer, basket = self._market.order(at)
        key = f"place:{at.isoformat()}"
        paid = _draw(key).random() >= self._pace.unpaid
        return Step(at, key, None, partial(self._office.place_order, ACTOR, buyer.id, basket, key, paid=paid))


class _Market:
    """Who buys what and when: the same people with the same tastes as in the months that the seed tells of."""

    def __init__(self, today: date, orders_a_day: float) -> None:
        self._rng, self._orders_a_day = Random(seeding.SEED), orders_a_day  # noqa: S311  (a demo, not a secret)
        regions = load_regions()
        owners = stories.people(regions, today)
        invented = invent_people(self._rng, regions, today, history.DAYS, seeding.CUSTOMERS - len(owners))
        self._shoppers = history.Market(self._rng, load_articles(), invented, today)
        self.people: dict[str, Person] = {person.id: person for person in invented}
        self._days: dict[date, list[datetime]] = {}

    def next_after(self, moment: datetime) -> datetime:
        """When the next order comes in."""
        day = moment.astimezone(SHANGHAI).date()
        while True:
            if found := next((at for at in self._moments(day) if at > moment), None):
                return found
            day += timedelta(days=1)

    def order(self, at: datetime) -> tuple[Person, dict[str, int]]:
        self._rng.seed(f"order:{at.isoformat()}")
        basket = self._shoppers.basket(at.astimezone(SHANGHAI).date())
        return self._shoppers.buyer(at), {line.sku.id: line.quantity for line in basket}

    def _moments(self, day: date) -> list[datetime]:
        if day not in self._days:
            rng = _draw("day", day.isoformat())
            count = max(1, round(self._orders_a_day * seasons.demand(day)))
            self._days = {day: sorted({seasons.moment(rng, day) for _ in range(count)})}
        return self._days[day]


async def live_on(
    engine: AsyncEngine,
    *,
    speed: float = 1.0,
    until: datetime | None = None,
    pace: Pace | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Until ``until``, or for ever; returns where there is no demo. ``speed`` is how many seconds pass in one, and
    with ``until`` alone time does not pass at all: everything is done at once. Survives a database that is away."""
    start, began = datetime.now(UTC), time.monotonic()
    at_once = until is not None and speed == 1.0
    house: Live | None = None
    failures = 0
    while True:
        present = start + speed * timedelta(seconds=time.monotonic() - began)
        if until is not None and (at_once or present > until):
            present = until
        try:
            house = house or Live(engine, min(start, present), pace)
            due = await house.advance(present, _BREATH if speed == 1.0 and not at_once else 0)
        except (SQLAlchemyError, OSError) as error:
            pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
            house, failures = None, failures + 1
            say(f"The database does not answer ({type(error).__name__}) / 数据库没有回应")
            await asyncio.sleep(pause)
            continue
        failures = 0
        if due is None:
            say("There is no demo mall here / 这里没有演示商城")
            return
        if until is not None and present >= until:
            return
        ahead = (min(due, until) if until else due) - present
        await asyncio.sleep(min(_LONGEST_SLEEP, max(0.0, ahead / timedelta(seconds=1) / speed)))
