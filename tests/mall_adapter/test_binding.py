"""Binding an account by the whole phone number and an order of the same customer."""

from __future__ import annotations

import asyncio

import pytest

from mall_adapter import SqlMall
from mall_adapter.errors import BindingLocked, InPublic, WrongProof
from mall_adapter.values import Customer
from tests.mall_adapter.offices import new_key

from .conftest import Clock


async def test_the_right_phone_and_order_bind(mall: SqlMall) -> None:
    assert await mall.bind_with_proof("web:guest", "13800005678", "ORD10004", new_key()) == Customer(
        "C1", "周琳", "上海"
    )
    assert {order.id for order in await mall.orders_of("web:guest")} >= {"ORD10001", "ORD10002"}


@pytest.mark.parametrize(
    ("phone", "order_id"),
    [("13800005678", "ORD20001"), ("13900004321", "ORD10001"), ("13800005678", "ORD99999"), ("5678", "ORD10001")],
)
async def test_a_wrong_half_binds_nobody(mall: SqlMall, phone: str, order_id: str) -> None:
    with pytest.raises(WrongProof) as wrong:
        await mall.bind_with_proof("web:guest", phone, order_id, new_key())
    assert wrong.value.tries_left == 4
    assert await mall.customer_of("web:guest") is None


async def test_five_wrong_tries_lock_for_an_hour(mall: SqlMall, clock: Clock) -> None:
    for left in (4, 3, 2, 1):
        with pytest.raises(WrongProof) as wrong:
            await mall.bind_with_proof("web:guest", "13800000000", "ORD10001", new_key())
        assert wrong.value.tries_left == left
    for phone in ("13800000000", "13800005678"):  # even the right one
        with pytest.raises(BindingLocked):
            await mall.bind_with_proof("web:guest", phone, "ORD10001", new_key())
    assert await mall.bind_with_proof("web:other", "13800005678", "ORD10001", new_key())
    clock.advance(minutes=61)
    assert await mall.bind_with_proof("web:guest", "13800005678", "ORD10001", new_key())


async def test_ones_own_proof_gives_no_new_tries_at_another(mall: SqlMall) -> None:
    with pytest.raises(WrongProof):
        await mall.bind_with_proof("web:guest", "13900000000", "ORD20001", new_key())
    await mall.bind_with_proof("web:guest", "13800005678", "ORD10001", new_key())
    with pytest.raises(WrongProof) as wrong:
        await mall.bind_with_proof("web:guest", "13900000001", "ORD20001", new_key())
    assert wrong.value.tries_left == 3


async def test_wrong_tries_are_forgotten_after_an_hour(mall: SqlMall, clock: Clock) -> None:
    for minutes in (0, 59):
        clock.advance(minutes=minutes)
        with pytest.raises(WrongProof) as wrong:
            await mall.bind_with_proof("web:guest", "13800000000", "ORD10001", new_key())
    assert wrong.value.tries_left == 3
    clock.advance(minutes=2)
    with pytest.raises(WrongProof) as wrong:
        await mall.bind_with_proof("web:guest", "13800000000", "ORD10001", new_key())
    assert wrong.value.tries_left == 4


async def test_tries_at_once_are_all_counted(malls: list[SqlMall]) -> None:
    tries = [malls[n % 3].bind_with_proof("web:guest", f"1380000000{n}", "ORD10001", new_key()) for n in range(9)]
    refused = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(error.tries_left for error in refused if isinstance(error, WrongProof)) == [1, 2, 3, 4]
    assert sum(isinstance(error, BindingLocked) for error in refused) == 5


async def test_nobody_proves_who_they_are_where_others_read_along(mall: SqlMall) -> None:
    """Nor does it tell whether the proof was right, or cost a try."""
    for phone in ("13800005678", "13900000000"):
        with pytest.raises(InPublic):
            await mall.bind_with_proof("telegram:7@-100", phone, "ORD10001", new_key())
        with pytest.raises(InPublic):
            await mall.prove_phone("telegram:7@-100", "ORD10001", phone, new_key())
        with pytest.raises(InPublic):
            await mall.prove_ownership("telegram:7@-100", "ORD10001", phone[-4:], new_key())
    made = await mall.make_binding_code("web:zhou", new_key())
    with pytest.raises(InPublic):
        await mall.whose_code("telegram:7@-100", made.code, new_key())
    with pytest.raises(InPublic):
        await mall.bind_with_code("telegram:7@-100", made.code, new_key())
    assert await mall.customer_of("telegram:7@-100") is None
    assert await mall.orders_of("telegram:7@-100") == []
    assert await mall.bind_with_proof("telegram:7", "13800005678", "ORD10001", new_key())
    assert await mall.customer_of("telegram:7@-100") is None
