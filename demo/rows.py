"""From what was invented to rows of the mall's tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from random import Random
from typing import Any

from demo import freight, prices
from demo.after_sales import Case
from demo.coupons import Coupon
from demo.goods import Article, Supplier
from demo.history import DAYS, Sale
from demo.people import Colleague, Person
from mall_adapter import models
from mall_adapter.orders import UNSHIPPED
from mall_adapter.people import principal_of
from mall_adapter.policy import Trade
from mall_adapter.promises import promises
from mall_adapter.regions import of_address, tree
from mall_adapter.values import OrderStatus
from storage import Role

_WAITS = (OrderStatus.PENDING_PAYMENT,)
_UNPAID = (OrderStatus.PENDING_PAYMENT, OrderStatus.CANCELLED)

Rows = dict[type[models.Base], list[dict[str, Any]]]
"""Rows by model, each with a value for every column but a numbered key."""


def of_articles(rng: Random, articles: list[Article], sales: list[Sale], wanted: frozenset[str], now: datetime) -> Rows:
    """Goods and their stock: what unshipped orders hold is allocated; one SKU in twelve has nothing left to sell.

    ``wanted``: SKUs that always have some.
    """
    rows: Rows = defaultdict(list)
    for supplier in {article.supplier.id: article.supplier for article in articles}.values():
        rows[models.Supplier].append(
            {
                "id": supplier.id,
                "name": supplier.name,
                "trade": supplier.trade,
                "region": code(supplier.region),
                "demo": True,
            }
        )
        warehouse = {"id": warehouse_of(supplier), "supplier_id": supplier.id, "region": code(supplier.region)}
        rows[models.Warehouse].append({**warehouse, "name": supplier.name})
    allocated: Counter[str] = Counter()
    sold: Counter[str] = Counter()
    for sale in sales:
        for line in sale.lines:
            sold[line.sku.id] += line.quantity
            if sale.status in UNSHIPPED:
                allocated[line.sku.id] += line.quantity
    for article in articles:
        rows[models.Product].append(
            {
                "id": article.id,
                "supplier_id": article.supplier.id,
                "name": article.name,
                "brand": article.brand,
                "category": article.category,
                "trade": article.supplier.trade,
                "fresh": article.fresh,
                "custom_made": article.custom_made,
                "presale_days": article.presale_days,
                "made_days": 0,
                "attributes": article.attributes,
                "image_path": None,
            }
        )
        for sku in article.skus:
            if article.supplier.trade is Trade.COURSE:
                free, reserved = 9_999, 0  # seats
            elif rng.random() < 1 / 12 and sku.id not in wanted:
                free, reserved = 0, 0
            else:
                free = 5 + round(sold[sku.id] * rng.uniform(0.02, 0.3))  # up to some months' worth
                reserved = rng.choice((0, 0, 0, 2, 5))
            held = allocated[sku.id]
            rows[models.Sku].append({"id": sku.id, "product_id": article.id, "spec": sku.spec, "weight_g": 0})
            on_hand = free + held + reserved
            place = {"warehouse_id": warehouse_of(article.supplier), "sku_id": sku.id}
            rows[models.Stock].append({**place, "on_hand": on_hand, "allocated": held, "held": reserved})
            if on_hand:
                rows[models.StockMovement].append(
                    _movement(place, models.MovementKind.COUNT, on_hand, None, "opening", now)
                )
    rows[models.StockMovement] += (
        _movement(
            {"warehouse_id": warehouse_of(line.article.supplier), "sku_id": line.sku.id},
            models.MovementKind.ALLOCATE,
            line.quantity,
            sale.id,
            f"{sale.id}-{number}:placed",
            sale.placed_at,
        )
        for sale in sales
        if sale.status in UNSHIPPED
        for number, line in enumerate(sale.lines, 1)
    )
    return rows


def of_terms(articles: list[Article], today: date) -> Rows:
    """What goods cost, and what their sending."""
    suppliers = dict.fromkeys(article.supplier.id for article in articles)
    return {
        models.Price: list(prices.rows(articles, today, DAYS)),
        models.FreightTemplate: list(freight.rows(suppliers)),
    }


def _movement(
    place: dict[str, str], kind: models.MovementKind, quantity: int, order_id: str | None, why: str, at: datetime
) -> dict[str, Any]:
    return {
        **place,
        "kind": kind,
        "quantity": quantity,
        "order_id": order_id,
        "cause": f"{kind}:{why}:{place['warehouse_id']}:{place['sku_id']}",
        "at": at,
        "role": Role.SERVICE,
        "principal_id": "demo",
    }


def _digital(sale: Sale) -> bool:
    return sale.lines[0].article.supplier.trade is Trade.COURSE


def warehouse_of(supplier: Supplier) -> str:
    return f"W-{supplier.id}"


def code(region: str) -> str:
    """Of a province by its name. Raises KeyError."""
    return tree().by_name[region]


def of_people(people: Iterable[Person]) -> Rows:
    """Customers, each with their principal."""
    rows: Rows = defaultdict(list)
    for person in people:
        rows[models.Customer].append(
            {
                "id": person.id,
                "name": person.name,
                "phone": person.phone,
                "phone_index": models.phone_index(person.phone),
                "address": person.address,
                "region": of_address(person.address),
                "registered_at": person.registered_at,
                "demo": True,
            }
        )
        principal_id = principal_of(person.id)
        since = person.registered_at
        rows[models.Principal].append(
            {
                "id": principal_id,
                "name": None,
                "name_index": None,
                "customer_id": person.id,
                "created_at": since,
                "demo": True,
            }
        )
        rows[models.Membership].append(_member(principal_id, Role.CUSTOMER, since))
    return rows


def of_staff(staff: Iterable[Colleague], since: datetime) -> Rows:
    """Those who work in the mall and for its suppliers; one of them may be a customer, too."""
    rows: Rows = defaultdict(list)
    for one in staff:
        if one.name is not None:
            rows[models.Principal].append(
                {
                    "id": one.id,
                    "name": one.name,
                    "name_index": models.name_index(one.name),
                    "customer_id": None,
                    "created_at": since,
                    "demo": True,
                }
            )
        rows[models.Membership].append(_member(one.id, one.role, since, one.supplier_id))
    return rows


def _member(principal_id: str, role: Role, since: datetime, supplier_id: str | None = None) -> dict[str, Any]:
    held = {"principal_id": principal_id, "role": role, "supplier_id": supplier_id}
    return {**held, "granted_at": since, "granted_by": None}


def of_sales(sales: Iterable[Sale]) -> Rows:
    """Orders, their lines, shipments and tracking events."""
    rows: Rows = defaultdict(list)
    for sale in sales:
        region = of_address(sale.person.address) or code(sale.person.region.name)
        senders = list(dict.fromkeys(line.article.supplier for line in sale.lines))
        fulfilments = {supplier.id: f"{sale.id}-F{number}" for number, supplier in enumerate(senders, 1)}
        freight_cents = 0 if _digital(sale) else freight.cents(region, sale.cents)
        discount_cents = sum(line.discount_cents for line in sale.lines)
        rows[models.Order].append(
            {
                "id": sale.id,
                "customer_id": sale.person.id,
                "status": sale.status,
                "placed_at": sale.placed_at,
                "ships_by": sale.ships_by,
                "delivered_at": sale.delivered_at,
                "pay_by": sale.placed_at + promises().payment_within if sale.status in _WAITS else None,
                "paid_at": None if sale.status in _UNPAID else sale.placed_at,
                "total_cents": sale.cents - discount_cents + freight_cents * len(senders),
                "discount_cents": discount_cents,
                "freight_cents": freight_cents * len(senders),
                "coupon_id": sale.coupon_id,
                "region": region,
                "recipient_name": sale.person.name,
                "recipient_phone": sale.person.phone,
                "recipient_address": sale.person.address,
                "phone_tail_index": models.phone_tail_index(sale.id, sale.person.phone),
            }
        )
        rows[models.Fulfilment] += (
            {
                "id": fulfilments[supplier.id],
                "order_id": sale.id,
                "supplier_id": supplier.id,
                "warehouse_id": warehouse_of(supplier),
                "freight_cents": freight_cents,
                "ships_by": sale.ships_by,
            }
            for supplier in senders
        )
        for number, line in enumerate(sale.lines, 1):
            rows[models.OrderLine].append(
                {
                    "id": f"{sale.id}-{number}",
                    "order_id": sale.id,
                    "fulfilment_id": fulfilments[line.article.supplier.id],
                    "sku_id": line.sku.id,
                    "product_name": line.article.name,
                    "spec": line.sku.spec,
                    "quantity": line.quantity,
                    "unit_price_cents": line.unit_price_cents,
                    "discount_cents": line.discount_cents,
                    "ships_by": sale.ships_by if line.article.presale_days or line.article.custom_made else None,
                    "activated_at": line.activated_at,
                }
            )
        if sale.parcel is None:
            continue
        shipment_id = f"{sale.id}-S1"
        rows[models.Shipment].append(
            {
                "id": shipment_id,
                "order_id": sale.id,
                "fulfilment_id": fulfilments[senders[0].id],
                "carrier": sale.parcel.carrier,
                "tracking_number": sale.parcel.tracking_number,
                "status": sale.parcel.status,
                "promised_by": sale.parcel.promised_by,
                "shipped_at": sale.parcel.shipped_at,
                "delivered_at": sale.parcel.delivered_at,
            }
        )
        rows[models.ShipmentLine] += (
            {"shipment_id": shipment_id, "order_line_id": f"{sale.id}-{number}", "quantity": line.quantity}
            for number, line in enumerate(sale.lines, 1)
        )
        rows[models.TrackingEvent] += (
            {
                "shipment_id": shipment_id,
                "time": scan.time,
                "place": scan.place,
                "text": scan.text,
                "status": scan.status,
                "recorded_at": scan.time,
            }
            for scan in sale.parcel.scans
        )
    return rows


def of_cases(cases: Iterable[Case]) -> Rows:
    rows: Rows = defaultdict(list)
    for case in cases:
        rows[models.Ticket].append(
            {
                "id": case.id,
                "order_id": case.sale.id,
                "kind": case.kind,
                "status": case.status,
                "reason": case.reason,
                "summary": "、".join(
                    f"{line.article.name} {line.sku.spec}" + (f" ×{line.quantity}" if line.quantity > 1 else "")
                    for line in case.lines
                ),
                "note": case.note,
                "rule": case.decision.rule,
                "freight_payer": case.decision.freight_payer,
                "auto_approve": case.decision.auto_approve,
                "handling_days": case.decision.handling_days,
                "refund_cents": case.decision.refund_cents,
                "refunded_cents": case.decision.refund_cents if case.paid_back else 0,
                "settled_at": case.settled_at,
                "due_on": case.due_on,
                "created_at": case.created_at,
            }
        )
        rows[models.TicketLine] += (
            {
                "ticket_id": case.id,
                "order_line_id": f"{case.sale.id}-{number}",
                "quantity": line.quantity,
                "received": line.quantity if case.came_back else None,
                "paid_cents": line.paid_cents,
                "refunded_cents": line.paid_cents if case.paid_back else 0,
                "live": case.live,
            }
            for number, line in enumerate(case.sale.lines, 1)
            if line in case.lines
        )
        rows[models.TicketEvent] += (
            {
                "ticket_id": case.id,
                "time": step.time,
                "status": step.status,
                "actor": step.actor,
                "note": step.note,
            }
            for step in case.steps
        )
    return rows


def with_cases(rows: Rows) -> Rows:
    """Counts on orders and their lines what is in cases, and what was paid back of them."""
    lines = {line["id"]: line | {"in_tickets": 0, "refunded_cents": 0} for line in rows.get(models.OrderLine, ())}
    orders = {order["id"]: order | {"refunded_cents": 0} for order in rows.get(models.Order, ())}
    of_ticket = {ticket["id"]: ticket["order_id"] for ticket in rows.get(models.Ticket, ())}
    for case in rows.get(models.TicketLine, ()):
        line, order = lines[case["order_line_id"]], orders[of_ticket[case["ticket_id"]]]
        line["in_tickets"] += case["quantity"] if case["live"] else 0
        line["refunded_cents"] += case["refunded_cents"]
        order["refunded_cents"] += case["refunded_cents"]
    return rows | {models.OrderLine: [*lines.values()], models.Order: [*orders.values()]}


def of_coupons(coupons: Iterable[Coupon]) -> Rows:
    return {
        models.Coupon: [
            {
                "id": coupon.id,
                "customer_id": coupon.person.id,
                "sender_index": None,
                "title": coupon.title,
                "off_cents": coupon.off_cents,
                "min_spend_cents": coupon.min_spend_cents,
                "granted_at": coupon.granted_at,
                "valid_until": coupon.valid_until,
                "used_at": coupon.used_at,
            }
            for coupon in coupons
        ]
    }
