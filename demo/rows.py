"""From what was invented to rows of the mall's tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from random import Random
from typing import Any

from demo.after_sales import Case
from demo.coupons import Coupon
from demo.goods import Article
from demo.history import Sale
from demo.people import Colleague, Person
from mall_adapter import models
from mall_adapter.orders import UNSHIPPED
from mall_adapter.people import principal_of
from mall_adapter.policy import Trade
from mall_adapter.values import TicketStatus
from storage import Role

Rows = dict[type[models.Base], list[dict[str, Any]]]
"""Rows by model, each with a value for every column but a numbered key."""


def of_articles(rng: Random, articles: list[Article], sales: Iterable[Sale], wanted: frozenset[str]) -> Rows:
    """Goods and their stock: what unshipped orders hold is allocated; one SKU in twelve has nothing left to sell.

    ``wanted``: SKUs that always have some.
    """
    rows: Rows = defaultdict(list)
    for supplier in {article.supplier.id: article.supplier for article in articles}.values():
        rows[models.Supplier].append(
            {"id": supplier.id, "name": supplier.name, "trade": supplier.trade, "region": supplier.region, "demo": True}
        )
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
            rows[models.Sku].append(
                {
                    "id": sku.id,
                    "product_id": article.id,
                    "spec": sku.spec,
                    "price_cents": sku.price_cents,
                    "quantity": free + held + reserved,
                    "allocated": held,
                    "reserved": reserved,
                }
            )
    return rows


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
                "region": person.region.name,
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
        rows[models.Order].append(
            {
                "id": sale.id,
                "customer_id": sale.person.id,
                "status": sale.status,
                "placed_at": sale.placed_at,
                "ships_by": sale.ships_by,
                "delivered_at": sale.delivered_at,
                "total_cents": sale.cents,
                "region": sale.person.region.name,
                "recipient_name": sale.person.name,
                "recipient_phone": sale.person.phone,
                "recipient_address": sale.person.address,
                "phone_tail_index": models.phone_tail_index(sale.id, sale.person.phone),
            }
        )
        for number, line in enumerate(sale.lines, 1):
            rows[models.OrderLine].append(
                {
                    "id": f"{sale.id}-{number}",
                    "order_id": sale.id,
                    "sku_id": line.sku.id,
                    "product_name": line.article.name,
                    "spec": line.sku.spec,
                    "quantity": line.quantity,
                    "unit_price_cents": line.unit_price_cents,
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
                "carrier": sale.parcel.carrier,
                "tracking_number": sale.parcel.tracking_number,
                "status": sale.parcel.status,
                "promised_by": sale.parcel.promised_by,
                "shipped_at": sale.parcel.shipped_at,
                "delivered_at": sale.parcel.delivered_at,
            }
        )
        rows[models.TrackingEvent] += (
            {"shipment_id": shipment_id, "time": scan.time, "place": scan.place, "text": scan.text}
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
                "due_on": case.due_on,
                "created_at": case.created_at,
            }
        )
        rows[models.TicketLine] += (
            {
                "ticket_id": case.id,
                "order_line_id": f"{case.sale.id}-{number}",
                "live": case.status not in {TicketStatus.REJECTED, TicketStatus.CANCELLED},
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
