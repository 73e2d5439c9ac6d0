"""Which wishes an order is open to, by its state and its tickets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mall_adapter.eligibility import open_to
from mall_adapter.values import Order, OrderLine, OrderStatus, Wish

S = OrderStatus


def order(status: OrderStatus, *tickets: str | None) -> Order:
    lines = tuple(
        OrderLine(f"L{n}", "S1", "P1", "鞋", "42码", "跑鞋", 1, 100, 0 if ticket else 1, (ticket,) if ticket else ())
        for n, ticket in enumerate(tickets or (None,))
    )
    return Order("ORD10001", status, datetime(2026, 3, 1, tzinfo=UTC), 100, None, None, lines, ())


@pytest.mark.parametrize(
    ("status", "tickets", "open_wishes"),
    [
        (S.PENDING_PAYMENT, (None,), {Wish.CANCEL, Wish.CHANGE_DELIVERY}),
        (S.PAID, (None,), {Wish.CANCEL, Wish.CHANGE_DELIVERY, Wish.RETURN, Wish.INVOICE}),
        (S.PAID, ("RT1",), {Wish.CHANGE_DELIVERY, Wish.INVOICE}),
        (S.SHIPPED, (None,), {Wish.RETURN, Wish.INVOICE}),
        (S.DELIVERED, ("RT1", None), {Wish.RETURN, Wish.INVOICE}),
        (S.DELIVERED, ("RT1", "RT2"), {Wish.INVOICE}),
        (S.CANCELLED, (None,), set()),
    ],
)
def test_open_to(status: OrderStatus, tickets: tuple[str | None, ...], open_wishes: set[Wish]) -> None:
    assert {wish for wish in Wish if open_to(order(status, *tickets), wish)} == open_wishes
