"""Sending an order elsewhere before it is shipped."""

from __future__ import annotations

import pytest

from mall_adapter import SqlMall
from mall_adapter.errors import InvalidDelivery, InvalidTransition, OwnershipRequired, WrongPhoneTail
from mall_adapter.values import DeliveryChange
from tests.mall_adapter.offices import new_key

NEW = DeliveryChange(recipient_name="王小明", phone="13911112222", address="上海市浦东新区张江路 12 号")


async def test_a_new_phone_proves_ownership_from_then_on(mall: SqlMall) -> None:
    await mall.change_delivery("web:zhou", "ORD10003", NEW, "k1")
    with pytest.raises(WrongPhoneTail):
        await mall.prove_ownership("web:guest", "ORD10003", "5678", new_key())
    assert (await mall.prove_ownership("web:guest", "ORD10003", "2222", new_key())).id == "ORD10003"


async def test_changing_twice_under_one_key_is_one_change(mall: SqlMall) -> None:
    await mall.change_delivery("web:zhou", "ORD10003", NEW, "k1")
    await mall.change_delivery("web:zhou", "ORD10003", DeliveryChange(phone="13800005678"), "k2")
    await mall.change_delivery("web:zhou", "ORD10003", NEW, "k1")
    assert (await mall.prove_ownership("web:guest", "ORD10003", "5678", new_key())).id == "ORD10003"


async def test_what_was_shipped_goes_where_it_goes(mall: SqlMall) -> None:
    with pytest.raises(InvalidTransition):
        await mall.change_delivery("web:zhou", "ORD10001", NEW, "k1")


async def test_only_the_owner_sends_an_order_elsewhere(mall: SqlMall) -> None:
    for sender in ("web:guest", "web:he"):
        with pytest.raises(OwnershipRequired):
            await mall.change_delivery(sender, "ORD10003", NEW, f"k {sender}")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (DeliveryChange(phone="12345"), "phone"),
        (DeliveryChange(phone="1391111222a"), "phone"),
        (DeliveryChange(phone="1391111２２２２"), "phone"),  # a courier dials what is stored
        (DeliveryChange(address=" "), "address"),
        (DeliveryChange(recipient_name="王" * 41), "recipient_name"),
        (DeliveryChange(), "address"),
    ],
)
async def test_what_cannot_be_right_is_refused(mall: SqlMall, change: DeliveryChange, field: str) -> None:
    with pytest.raises(InvalidDelivery) as refused:
        await mall.change_delivery("web:zhou", "ORD10003", change, "k1")
    assert refused.value.field == field
