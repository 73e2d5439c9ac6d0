"""Placing an order: prices, coupon, freight, the goods that are kept for it, and what is promised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

from sqlalchemy import String, Table, and_, bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import coupons, freight, models, orders, people, prices, regions, stock
from mall_adapter.actors import RULES
from mall_adapter.errors import InvalidTransition, NotFound
from mall_adapter.promises import promises
from mall_adapter.refunds import share
from mall_adapter.stock import Cause
from mall_adapter.values import DeliveryChange, Order, OrderLine, OrderStatus
from storage import Actor, Event, insert_numbered, record


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(Event):
    kind: ClassVar[str] = "order_placed"
    customer_id: str
    total_cents: int
    discount_cents: int
    freight_cents: int
    coupon_id: str | None
    card_token: str | None
    paid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid(Event):
    kind: ClassVar[str] = "order_paid"
    total_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationExpired(Event):
    kind: ClassVar[str] = "reservation_expired"


@dataclass(frozen=True, slots=True)
class Basket:
    """What somebody orders: pieces by SKU. ``delivery``: where it goes, other than to the customer's address."""

    customer_id: str
    items: Mapping[str, int]
    coupon_id: str | None = None
    card_token: str | None = None
    delivery: DeliveryChange | None = None
    paid: bool = True


@dataclass(frozen=True, slots=True)
class _Goods:
    """A SKU as it is sold now."""

    name: str
    spec: str
    product_id: str
    category: str
    supplier_id: str
    weight_g: int
    cents: int
    within: timedelta
    later: bool  # sold before it is there, or made to order
    presale: bool
    freight: models.FreightTemplate | None  # of its supplier, who sends for nothing without one


@dataclass(slots=True)
class _Line:
    goods: _Goods
    allotment: stock.Allotment
    discount_cents: int = 0

    @property
    def cents(self) -> int:
        return self.goods.cents * self.allotment.quantity


@dataclass(slots=True)
class _Parcel:
    """What one warehouse sends at one time."""

    supplier_id: str
    warehouse_id: str
    within: timedelta
    lines: list[_Line] = field(default_factory=list)
    freight_cents: int = 0


async def place(session: AsyncSession, basket: Basket, by: Actor, now: datetime) -> Order:
    """The new order, whose goods are kept for it; unpaid they are so for a while.

    Raises NotFound (customer, SKU or coupon), OutOfStock, CouponRefused, or ValueError for a bad quantity.
    """
    if not basket.items or any(quantity < 1 for quantity in basket.items.values()):
        raise ValueError("an order needs at least one piece of each of its items")
    await people.lock_customers(session, basket.customer_id, sharing=True)
    found = (await session.execute(_CUSTOMER, {"customer_id": basket.customer_id})).one_or_none()
    if found is None:
        raise NotFound("no such customer")
    to = basket.delivery or DeliveryChange()
    phone, place = to.phone or found.phone, to.address or found.address
    region = (regions.of_address(to.address) if to.address else None) or found.region

    goods = await _goods(session, basket.items, region, now)
    allotted = await stock.allocate(session, basket.items, region)
    lines = [_Line(goods[allotment.sku_id], allotment) for allotment in allotted]
    parcels = list(_parcels(lines))
    _add_freight(parcels)
    sum_cents = sum(line.cents for line in lines)
    discount_cents = 0
    if basket.coupon_id:
        discount_cents = await coupons.use(session, basket.coupon_id, found.id, sum_cents, now)
        for line, cents in zip(lines, share(discount_cents, [line.cents for line in lines]), strict=True):
            line.discount_cents = cents
    freight_cents = sum(parcel.freight_cents for parcel in parcels)
    total_cents = sum_cents - discount_cents + freight_cents

    told: dict[str, Any] = {
        "status": _status(parcels) if basket.paid else OrderStatus.PENDING_PAYMENT,
        "placed_at": now,
        "pay_by": None if basket.paid else now + promises().payment_within,
        "paid_at": now if basket.paid else None,
        "ships_by": now + min(parcel.within for parcel in parcels) if basket.paid else None,
        "total_cents": total_cents,
        "discount_cents": discount_cents,
        "freight_cents": freight_cents,
    }
    order_id = await insert_numbered(
        session,
        models.Order,
        "ORD",
        now,
        lambda order_id: (
            told
            | {
                "customer_id": found.id,
                "coupon_id": basket.coupon_id,
                "card_token": basket.card_token,
                "region": region,
                "recipient_name": to.recipient_name or found.name,
                "recipient_phone": phone,
                "recipient_address": place,
                "phone_tail_index": models.phone_tail_index(order_id, phone),
            }
        ),
    )
    rows = await _write(session, order_id, parcels, now if basket.paid else None)
    cause = Cause(f"{order_id}:placed", by, now, order_id)
    await stock.note(session, models.MovementKind.ALLOCATE, allotted, cause)
    record(
        session,
        OrderPlaced(
            subject=f"order:{order_id}",
            region=region,
            customer_id=found.id,
            total_cents=total_cents,
            discount_cents=discount_cents,
            freight_cents=freight_cents,
            coupon_id=basket.coupon_id,
            card_token=basket.card_token,
            paid=basket.paid,
        ),
        by,
        now,
    )
    new = (_to_line(row, goods[row["sku_id"]]) for row in sorted(rows, key=lambda row: str(row["id"])))
    return Order(id=order_id, **told, delivered_at=None, lines=tuple(new), shipments=())


_CUSTOMER = select(
    *(models.Customer.id, models.Customer.name, models.Customer.phone, models.Customer.address, models.Customer.region)
).where(models.Customer.id == people.kept(bindparam("customer_id", type_=String)))
"""What is asked for every order is a statement that is made once: making one costs more than asking it."""


def _to_line(row: Mapping[str, Any], goods: _Goods) -> OrderLine:
    """As :func:`mall_adapter.orders.to_order` would read it."""
    told = {name: value for name, value in row.items() if name not in {"order_id", "fulfilment_id"}}
    pieces = {"free": row["quantity"], "unsent": row["quantity"], "ticket_ids": ()}
    return OrderLine(**told, **pieces, product_id=goods.product_id, category=goods.category)


def _select_goods() -> Any:
    """SKUs, each with every price and every template of freight that counts."""
    sku, product, price, template = models.Sku, models.Product, models.Price, models.FreightTemplate
    return (
        select(
            *(sku.id, sku.spec, sku.weight_g, sku.product_id, product.name, product.category, product.supplier_id),
            *(product.presale_days, product.custom_made, product.made_days),
            *(price.kind, price.region, price.cents, template),
        )
        .join(product, product.id == sku.product_id)
        .join(price, price.sku_id == sku.id)
        .outerjoin(template, and_(template.supplier_id == product.supplier_id, freight.HERE))
        .where(sku.id.in_(bindparam("items", expanding=True)), prices.COUNTS)
    )


_GOODS = _select_goods()


async def _goods(session: AsyncSession, items: Mapping[str, int], region: str, now: datetime) -> dict[str, _Goods]:
    """By SKU. Raises NotFound for one that there is not, or that is not sold there now."""
    rows = (await session.execute(_GOODS, {"items": list(items)} | prices.then(now, region))).all()
    cents = prices.by_sku([(row.id, row.kind, row.region, row.cents) for row in rows], region)
    if cents.keys() < items.keys():
        raise NotFound("no such SKU")
    templates = freight.by_supplier({row.FreightTemplate for row in rows if row.FreightTemplate}, region)
    promised = promises()
    return {
        row.id: _Goods(
            name=row.name,
            spec=row.spec,
            product_id=row.product_id,
            category=row.category,
            supplier_id=row.supplier_id,
            weight_g=row.weight_g,
            cents=cents[row.id],
            within=promised.ships_within(row.presale_days, row.custom_made, row.made_days),
            later=bool(row.presale_days) or row.custom_made,
            presale=bool(row.presale_days),
            freight=templates.get(row.supplier_id),
        )
        for row in rows
    }


def _parcels(lines: Sequence[_Line]) -> Iterator[_Parcel]:
    """What lies in one warehouse and may leave at one time goes together."""
    parcels: dict[tuple[str, timedelta], _Parcel] = {}
    for line in lines:
        place = line.allotment.warehouse_id
        parcel = _Parcel(line.goods.supplier_id, place, line.goods.within)
        parcels.setdefault((place, line.goods.within), parcel).lines.append(line)
    yield from parcels.values()


def _add_freight(parcels: Sequence[_Parcel]) -> None:
    """Each supplier's for all that it sends, however many parcels it makes of it; it goes with the first of them."""
    by_supplier: dict[str, list[_Parcel]] = {}
    for parcel in parcels:
        by_supplier.setdefault(parcel.supplier_id, []).append(parcel)
    goods_cents = sum(line.cents for parcel in parcels for line in parcel.lines)
    for own in by_supplier.values():
        sent = [line for parcel in own for line in parcel.lines]
        if template := sent[0].goods.freight:
            own[0].freight_cents = freight.cents(
                template,
                goods_cents,
                sum(line.allotment.quantity for line in sent),
                sum(line.goods.weight_g * line.allotment.quantity for line in sent),
            )


def _status(parcels: Sequence[_Parcel]) -> OrderStatus:
    presale = all(line.goods.presale for parcel in parcels for line in parcel.lines)
    return OrderStatus.PRESALE if presale else OrderStatus.PAID


async def _write(
    session: AsyncSession, order_id: str, parcels: Sequence[_Parcel], paid_at: datetime | None
) -> list[dict[str, Any]]:
    """The rows of the lines. Without the detour over objects: this is what happens most."""
    fulfilments: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for number, parcel in enumerate(parcels, 1):
        fulfilment_id = f"{order_id}-F{number}"
        fulfilments.append(
            {
                "id": fulfilment_id,
                "order_id": order_id,
                "supplier_id": parcel.supplier_id,
                "warehouse_id": parcel.warehouse_id,
                "freight_cents": parcel.freight_cents,
                "ships_by": paid_at and paid_at + parcel.within,
            }
        )
        lines += [
            {
                "id": f"{order_id}-{number}",
                "order_id": order_id,
                "fulfilment_id": fulfilment_id,
                "sku_id": line.allotment.sku_id,
                "product_name": line.goods.name,
                "spec": line.goods.spec,
                "quantity": line.allotment.quantity,
                "unit_price_cents": line.goods.cents,
                "discount_cents": line.discount_cents,
                "ships_by": paid_at + parcel.within if paid_at and line.goods.later else None,
            }
            for number, line in enumerate(parcel.lines, len(lines) + 1)
        ]
    await session.execute(_FULFILMENTS, fulfilments)
    await session.execute(_LINES, lines)
    return lines


_FULFILMENTS = insert(cast(Table, models.Fulfilment.__table__))
_LINES = insert(cast(Table, models.OrderLine.__table__))


# ---- paying, or not ----


async def pay(session: AsyncSession, order_id: str, by: Actor, now: datetime) -> None:
    """From now on the promises count. Raises OrderNotFound, or InvalidTransition for one that waits for no payment."""
    await orders.lock(session, order_id)
    order = await orders.read(session, order_id)
    if order.status is not OrderStatus.PENDING_PAYMENT:
        raise InvalidTransition(f"an order that is {order.status} waits for no payment")
    order.paid_at, order.pay_by = now, None
    within: dict[str, timedelta] = {}
    for line in order.lines:
        product = line.sku.product
        promised = promises().ships_within(product.presale_days, product.custom_made, product.made_days)
        within[line.fulfilment_id] = max(promised, within.get(line.fulfilment_id, promised))
        line.ships_by = now + promised if product.presale_days or product.custom_made else None
        line.fulfilment.ships_by = now + within[line.fulfilment_id]
    order.ships_by = now + min(within.values())
    presale = all(line.sku.product.presale_days for line in order.lines)
    order.status = OrderStatus.PRESALE if presale else OrderStatus.PAID
    paid = OrderPaid(subject=f"order:{order_id}", region=order.region, total_cents=order.total_cents)
    record(session, paid, by, now)


async def unpaid(session: AsyncSession, now: datetime, limit: int) -> Sequence[str]:
    """Ids of orders whose time to pay is over, the longest first."""
    query = select(models.Order.id).where(
        models.Order.pay_by <= now, models.Order.status == OrderStatus.PENDING_PAYMENT
    )
    return (await session.scalars(query.order_by(models.Order.pay_by).limit(limit))).all()


async def expire(session: AsyncSession, order_id: str, now: datetime) -> bool:
    """Cancels an order whose time to pay is over; False where it was paid in the last moment."""
    await orders.lock(session, order_id)
    order = await orders.read(session, order_id)
    if order.status is not OrderStatus.PENDING_PAYMENT or order.pay_by is None or order.pay_by > now:
        return False
    await orders.cancel(session, order, RULES, now)
    record(session, ReservationExpired(subject=f"order:{order_id}", region=order.region), RULES, now)
    return True
