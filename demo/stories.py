"""The orders that conversations and tests count on, as written in ``stories.yml``; their dates hang on today."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

import yaml
from pydantic import BaseModel, ConfigDict

from demo import history, seasons
from demo.after_sales import Case, open_case
from demo.coupons import Coupon
from demo.goods import Article
from demo.history import Line, Sale
from demo.parcels import Fate, Journey
from demo.people import Person, Region
from mall_adapter.policy import AfterSalesPolicy
from mall_adapter.values import Reason, TicketKind

_STILL_TRAVELS = 2
"""Days that a late parcel still has to go."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Line(_Entry):
    product: str
    spec: str
    quantity: int = 1


class _Ticket(_Entry):
    id: str
    kind: TicketKind
    reason: Reason
    note: str
    created: int


class Story(_Entry):
    """One order; ``placed`` to ``activated`` are days before today. Shipped but neither delivered nor lost: late."""

    id: str
    customer: str = "C900001"
    lines: list[_Line]
    placed: int
    shipped: int | None = None
    promised: int | None = None
    delivered: int | None = None
    reported_lost: int | None = None
    activated: int | None = None
    ticket: _Ticket | None = None

    def placed_at(self, today: date) -> datetime:
        return _at(today, self.placed, 20, 15)


class _Person(_Entry):
    id: str
    name: str
    phone: str
    region: str
    city: str
    district: str
    street: str


class _Coupon(_Entry):
    customer: str
    title: str
    discount: int
    minimum: int
    granted: int
    days: int
    used: str | None = None  # with this order


class _Book(_Entry):
    customers: list[_Person]
    coupons: list[_Coupon]
    orders: list[Story]


def _read() -> _Book:
    return _Book.model_validate(yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8")))


def load_stories() -> list[Story]:
    return _read().orders


def people(regions: dict[str, Region], today: date) -> list[Person]:
    """Those to whom the stories happen."""
    return [
        Person(
            entry.id,
            entry.name,
            entry.phone,
            regions[entry.region],
            entry.city,
            entry.district,
            entry.street,
            registered_at=_at(today, 200, 9, 30),
        )
        for entry in _read().customers
    ]


def coupons(owners: list[Person], today: date) -> list[Coupon]:
    by_id = {person.id: person for person in owners}
    book = _read()
    placed = {story.id: story.placed_at(today) for story in book.orders}
    return [
        Coupon(
            id=f"CP9{number:05}",
            person=by_id[entry.customer],
            title=entry.title,
            off_cents=entry.discount * 100,
            min_spend_cents=entry.minimum * 100,
            granted_at=_at(today, entry.granted, 10, 0),
            valid_until=_at(today, entry.granted - entry.days, 10, 0),
            used_at=placed[entry.used] if entry.used else None,
            order_id=entry.used,
        )
        for number, entry in enumerate(book.coupons, 1)
    ]


def tell(
    story: Story,
    articles: list[Article],
    owners: list[Person],
    regions: dict[str, Region],
    policy: AfterSalesPolicy,
    today: date,
) -> tuple[Sale, Case | None]:
    """The story as it stands on ``today``. Raises KeyError or StopIteration where it names goods that nobody sells."""
    rng = Random(story.id)  # noqa: S311  (the same every day: a parcel keeps its number)
    now = seasons.midnight(today)
    owner = next(person for person in owners if person.id == story.customer)
    lines = [_line(entry, articles, today, story.activated) for entry in story.lines]
    placed_at = story.placed_at(today)
    ships_by = placed_at + history.ships_within(lines)
    if story.shipped is not None:
        end = story.delivered if story.delivered is not None else story.reported_lost
        fate = Fate.LOST if story.reported_lost else Fate.ON_TIME if story.delivered else Fate.LATE
        promised = story.promised if story.promised is not None else story.shipped - owner.region.days - 2
        journey = Journey(
            origin=regions[lines[0].article.supplier.region],
            to=owner,
            shipped_at=_at(today, story.shipped, 10, 30),
            promised_by=_at(today, promised, 23, 59),
            arrives_at=_at(today, -_STILL_TRAVELS if end is None else end, 15, 20),
            fate=fate,
        )
        sale = history.travel(rng, story.id, placed_at, ships_by, lines, journey, now)
    elif story.delivered is not None:
        sale = history.begin(story.id, owner, placed_at, lines, now)
    else:
        sale = history.wait(story.id, owner, placed_at, ships_by, lines)
    return sale, _case(rng, story.ticket, sale, policy, today)


def _line(entry: _Line, articles: list[Article], today: date, activated: int | None) -> Line:
    article = next(article for article in articles if article.name == entry.product)
    sku = next(sku for sku in article.skus if sku.spec == entry.spec)
    activated_at = None if activated is None else _at(today, activated, 19, 30)
    return Line(article, sku, entry.quantity, sku.price_cents, activated_at)


def _case(rng: Random, entry: _Ticket | None, sale: Sale, policy: AfterSalesPolicy, today: date) -> Case | None:
    if entry is None:
        return None
    asked_at = _at(today, entry.created, 19, 40)
    now = seasons.midnight(today)
    case = open_case(rng, policy, entry.id, sale, sale.lines, entry.kind, entry.reason, entry.note, asked_at, 0, now)
    if case is None:
        raise ValueError(f"the rules refuse the ticket of story {sale.id}")
    return case


def _at(today: date, days_ago: int, hour: int, minute: int) -> datetime:
    return seasons.midnight(today - timedelta(days=days_ago)) + timedelta(hours=hour, minutes=minute)
