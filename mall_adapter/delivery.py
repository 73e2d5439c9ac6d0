"""Where an order goes, and to whom; changed before it is shipped."""

from __future__ import annotations

import re

from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, regions
from mall_adapter.errors import InvalidDelivery, InvalidTransition
from mall_adapter.orders import UNSHIPPED
from mall_adapter.values import Delivery, DeliveryChange

LONGEST = {"recipient_name": 40, "address": 200}
"""Characters."""


def check(change: DeliveryChange) -> None:
    """Raises InvalidDelivery with the field that cannot be right."""
    if change.phone is not None and not re.fullmatch(r"1[3-9][0-9]{9}", change.phone):
        raise InvalidDelivery("phone")
    for field, longest in LONGEST.items():
        value = getattr(change, field)
        if value is not None and not 1 < len(value.strip()) <= longest:
            raise InvalidDelivery(field)
    if change == DeliveryChange():
        raise InvalidDelivery("address")


async def read(session: AsyncSession, order: models.Order) -> Delivery:
    """The caller has seen to it that the sender may know it."""
    await session.refresh(order, ["recipient_name", "recipient_phone", "recipient_address"])
    return Delivery(order.recipient_name, order.recipient_phone, order.recipient_address)


async def change(session: AsyncSession, order: models.Order, wanted: DeliveryChange) -> bool:
    """Whether the order has another phone now. The caller holds :func:`mall_adapter.orders.lock`. Raises
    InvalidTransition once a parcel of it has left."""
    if order.status not in UNSHIPPED or order.shipments:
        raise InvalidTransition(f"an order that is {order.status} cannot be sent elsewhere")
    await session.refresh(order, ["recipient_name", "recipient_phone", "recipient_address"])
    if wanted.recipient_name is not None:
        order.recipient_name = wanted.recipient_name.strip()
    if wanted.address is not None:
        order.recipient_address = wanted.address.strip()
        order.region = regions.of_address(order.recipient_address) or order.region
    if wanted.phone in (None, order.recipient_phone):
        return False
    order.recipient_phone = wanted.phone
    order.phone_tail_index = models.phone_tail_index(order.id, wanted.phone)
    return True
