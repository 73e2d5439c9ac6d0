"""Invoices: asking for one, and the check of a company's number (GB 32100-2015)."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.errors import InvalidInvoice, InvalidTransition, InvoiceExists
from mall_adapter.tax_numbers import is_tax_number
from mall_adapter.values import Invoice, InvoiceKind, InvoiceRequest, InvoiceStatus, OrderStatus
from storage import insert_numbered

LONGEST_TITLE = 100
"""Characters."""

_NO_INVOICE = frozenset({OrderStatus.PENDING_PAYMENT, OrderStatus.CANCELLED})


def check(request: InvoiceRequest) -> None:
    """Raises InvalidInvoice with the field that cannot be right."""
    if not 1 < len(request.title.strip()) <= LONGEST_TITLE:
        raise InvalidInvoice("title")
    if request.kind is InvoiceKind.COMPANY and not is_tax_number(request.tax_number or ""):
        raise InvalidInvoice("tax_number")
    if request.email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", request.email):
        raise InvalidInvoice("email")


async def live(session: AsyncSession, order_id: str) -> models.Invoice | None:
    query = select(models.Invoice).where(
        models.Invoice.order_id == order_id, models.Invoice.status != InvoiceStatus.REJECTED
    )
    return (await session.scalars(query)).one_or_none()


async def request(session: AsyncSession, order: models.Order, wanted: InvoiceRequest, now: datetime) -> str:
    """The id of the new invoice. The caller holds :func:`mall_adapter.orders.lock`."""
    if order.status in _NO_INVOICE:
        raise InvalidTransition(f"an order that is {order.status} has no invoice")
    if known := await live(session, order.id):
        raise InvoiceExists(to_invoice(known))
    company = wanted.kind is InvoiceKind.COMPANY
    return await insert_numbered(
        session,
        models.Invoice,
        "FP",
        now,
        lambda _: {
            "order_id": order.id,
            "kind": wanted.kind,
            "title": wanted.title.strip(),
            "tax_number": wanted.tax_number if company else None,
            "email": wanted.email,
            "amount_cents": order.total_cents,
            "status": InvoiceStatus.REQUESTED,
            "created_at": now,
        },
    )


async def read(session: AsyncSession, invoice_id: str) -> models.Invoice:
    return await session.get_one(models.Invoice, invoice_id)


def to_invoice(row: models.Invoice) -> Invoice:
    return Invoice(
        id=row.id,
        order_id=row.order_id,
        kind=row.kind,
        title=row.title,
        tax_number=row.tax_number,
        email=row.email,
        amount_cents=row.amount_cents,
        status=row.status,
        created_at=row.created_at,
    )
