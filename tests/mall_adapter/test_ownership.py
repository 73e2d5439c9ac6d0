"""Who is speaking, and whose an order is."""

from __future__ import annotations

import pytest

from mall_adapter import SqlMall
from mall_adapter.errors import NotFound, OrderLocked, OwnershipRequired, WrongPhoneTail
from mall_adapter.values import Customer, Reason, TicketKind, TicketRequest
from tests.mall_adapter.offices import bind, new_key

from .conftest import Clock


async def test_a_bound_sender_is_a_customer(mall: SqlMall) -> None:
    assert await mall.customer_of("web:zhou") == Customer("C1", "周琳", "上海")
    assert await mall.customer_of("web:guest") is None
    assert await mall.customer_of("web:ZHOU") is None  # channels tell upper from lower case


async def test_binding_again_changes_the_customer(mall: SqlMall) -> None:
    await bind(mall, "web:guest", "C1")
    await bind(mall, "web:guest", "C2")
    assert (await mall.order("web:guest", "ORD20001")).id == "ORD20001"
    with pytest.raises(OwnershipRequired):
        await mall.order("web:guest", "ORD10001")
    with pytest.raises(NotFound):
        await bind(mall, "web:guest", "C9")
    assert await mall.customer_of("web:guest") == Customer("C2", "何军", "杭州")


@pytest.mark.parametrize("sender", ["web:guest", "web:he"])
async def test_somebody_elses_order_stays_shut(mall: SqlMall, sender: str) -> None:
    request = TicketRequest("ORD10001", TicketKind.RETURN, Reason.DISLIKE)
    for attempt in (
        mall.order(sender, "ORD10001"),
        mall.assess(sender, request),
        mall.create_ticket(sender, request, "k1"),
        mall.cancel_order(sender, "ORD10001", "k2"),
    ):
        with pytest.raises(OwnershipRequired):
            await attempt
    assert "ORD10001" not in {order.id for order in await mall.orders_of(sender)}


@pytest.mark.parametrize("tail", ["5678", " 5678 ", "５６７８", "13800005678"])
async def test_the_right_tail_opens_this_order_for_good(mall: SqlMall, clock: Clock, tail: str) -> None:
    assert (await mall.prove_ownership("web:guest", "ORD10001", tail, new_key())).id == "ORD10001"
    clock.advance(days=30)
    assert (await mall.order("web:guest", "ORD10001")).id == "ORD10001"
    assert [order.id for order in await mall.orders_of("web:guest")] == ["ORD10001"]
    for order_id in ("ORD10002", "ORD20001"):  # neither the customer's others nor anybody else's
        with pytest.raises(OwnershipRequired):
            await mall.order("web:guest", order_id)
    assert await mall.customer_of("web:guest") is None


async def test_five_wrong_tails_lock_the_order_for_an_hour(mall: SqlMall, clock: Clock) -> None:
    for tail, left in (("0000", 4), ("", 3), ("56789", 2), ("四三二一", 1)):
        with pytest.raises(WrongPhoneTail) as wrong:
            await mall.prove_ownership("web:guest", "ORD10001", tail, new_key())
        assert wrong.value.tries_left == left
    with pytest.raises(OrderLocked) as locked:
        await mall.prove_ownership("web:guest", "ORD10001", "1111", new_key())
    assert (locked.value.until - clock.now).total_seconds() == 3600

    clock.advance(minutes=59)
    with pytest.raises(OrderLocked):  # also with the right one, or the lock would tell which is right
        await mall.prove_ownership("web:guest", "ORD10001", "5678", new_key())
    with pytest.raises(OrderLocked):
        await mall.order("web:guest", "ORD10001")
    await mall.prove_ownership("web:guest", "ORD10002", "5678", new_key())  # another order is not locked
    await mall.prove_ownership("web:other", "ORD10001", "5678", new_key())  # nor another sender
    assert (await mall.order("web:zhou", "ORD10001")).id == "ORD10001"  # nor its owner

    clock.advance(minutes=2)
    with pytest.raises(WrongPhoneTail) as wrong:
        await mall.prove_ownership("web:guest", "ORD10001", "0000", new_key())
    assert wrong.value.tries_left == 4
    await mall.prove_ownership("web:guest", "ORD10001", "5678", new_key())


async def test_an_owner_needs_no_proof(mall: SqlMall) -> None:
    for _ in range(6):
        assert (await mall.prove_ownership("web:zhou", "ORD10001", "0000", new_key())).id == "ORD10001"
