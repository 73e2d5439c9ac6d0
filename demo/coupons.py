"""Coupons of the demo mall's customers: used with an order, still good, or run out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from demo.history import Sale
from demo.people import Person
from mall_adapter.refunds import share
from mall_adapter.values import OrderStatus

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
    order_id: str | None = None  # with which it was used


def invent_coupons(rng: Random, people: list[Person], sales: list[Sale], now: datetime) -> list[Coupon]:
    """Zero to three coupons a person; most are used with the first order that is large enough: :func:`redeem`."""
    bought: dict[str, list[Sale]] = defaultdict(list)
    for sale in sales:
        if sale.status is not OrderStatus.CANCELLED:
            bought[sale.person.id].append(sale)
    coupons: list[Coupon] = []
    taken: set[str] = set()  # orders with a coupon
    for person in people:
        for title, off, minimum, days in rng.sample(_OFFERS, rng.choices((0, 1, 2, 3), (40, 30, 20, 10))[0]):
            granted_at = person.registered_at + (now - person.registered_at) * (1 - rng.random() ** 2)
            valid_until = granted_at + timedelta(days=days)
            fitting = (
                sale
                for sale in bought[person.id]
                if granted_at <= sale.placed_at < valid_until and sale.cents >= minimum * 100 and sale.id not in taken
            )
            used = next(fitting, None) if rng.random() < 0.8 else None
            if used:
                taken.add(used.id)
            coupons.append(
                Coupon(
                    id=f"CP{len(coupons) + 1:06}",
                    person=person,
                    title=title,
                    off_cents=off * 100,
                    min_spend_cents=minimum * 100,
                    granted_at=granted_at,
                    valid_until=valid_until,
                    used_at=used.placed_at if used else None,
                    order_id=used.id if used else None,
                )
            )
    return coupons


def redeem(sales: list[Sale], coupons: list[Coupon]) -> list[Sale]:
    """The sales, each less the coupon that was used with it."""
    used = {coupon.order_id: coupon for coupon in coupons if coupon.order_id}
    return [_less(sale, used[sale.id]) if sale.id in used else sale for sale in sales]


def _less(sale: Sale, coupon: Coupon) -> Sale:
    shares = share(min(coupon.off_cents, sale.cents), [line.cents for line in sale.lines])
    lines = [replace(line, discount_cents=cents) for line, cents in zip(sale.lines, shares, strict=True)]
    return replace(sale, coupon_id=coupon.id, lines=lines)
