"""Coupons of the demo mall's customers: used with an order, still good, or run out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from demo.history import Sale
from demo.people import Person

_OFFERS = (  # title, yuan off, from yuan, days
    ("新人礼券", 15, 99, 30),
    ("满减券", 20, 199, 30),
    ("满减券", 50, 399, 45),
    ("生日礼券", 30, 159, 31),
    ("大促加码券", 80, 699, 14),
    ("晚到补偿券", 10, 0, 60),
)


@dataclass(frozen=True, slots=True)
class Coupon:
    id: str
    person: Person
    title: str
    off_cents: int
    min_spend_cents: int
    granted_at: datetime
    valid_until: datetime
    used_at: datetime | None


def invent_coupons(rng: Random, people: list[Person], sales: list[Sale], now: datetime) -> list[Coupon]:
    """Zero to three coupons a person; most are used with the first order that is large enough."""
    bought: dict[str, list[Sale]] = defaultdict(list)
    for sale in sales:
        bought[sale.person.id].append(sale)
    coupons: list[Coupon] = []
    for person in people:
        for title, off, minimum, days in rng.sample(_OFFERS, rng.choices((0, 1, 2, 3), (40, 30, 20, 10))[0]):
            granted_at = person.registered_at + (now - person.registered_at) * (1 - rng.random() ** 2)
            valid_until = granted_at + timedelta(days=days)
            fitting = (
                sale.placed_at
                for sale in bought[person.id]
                if granted_at <= sale.placed_at < valid_until and sale.cents >= minimum * 100
            )
            used_at = next(fitting, None) if rng.random() < 0.8 else None
            coupon_id = f"CP{len(coupons) + 1:06}"
            coupons.append(Coupon(coupon_id, person, title, off * 100, minimum * 100, granted_at, valid_until, used_at))
    return coupons
