"""What the customer has bought, sent back, had invoiced and been given.

The law has shops keep what was traded (E-Commerce Law of the PRC, art. 31: three years at least) and invoices: they
stay with sums, goods and dates, and without whom they went to.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload, undefer

from mall_adapter import models
from storage.personal import Part, Rows, Subject


async def _export(session: AsyncSession, subject: Subject) -> Mapping[str, Rows]:
    order, ticket, invoice, coupon = models.Order, models.Ticket, models.Invoice, models.Coupon
    proof = models.OwnershipProof
    theirs = select(order.id).where(order.customer_id == subject.customer_id)
    sealed = undefer(order.recipient_name), undefer(order.recipient_phone), undefer(order.recipient_address)
    bought = select(order).where(order.id.in_(theirs)).options(selectinload(order.lines), *sealed)
    returned = (
        select(ticket)
        .where(ticket.order_id.in_(theirs))
        .options(undefer(ticket.note), selectinload(ticket.lines), selectinload(ticket.events))
    )
    had = or_(coupon.customer_id == subject.customer_id, coupon.sender_index.in_(subject.sender_indexes))
    shown = select(proof).where(proof.sender_index.in_(subject.sender_indexes)).order_by(proof.proven_at)
    return {
        "orders": [_order(each) for each in await session.scalars(bought.order_by(order.placed_at, order.id))],
        "tickets": [_ticket(each) for each in await session.scalars(returned.order_by(ticket.created_at, ticket.id))],
        "invoices": [
            {
                "id": each.id,
                "order": each.order_id,
                "title": each.title,
                "tax_number": each.tax_number,
                "email": each.email,
                "amount_cents": each.amount_cents,
                "status": each.status,
            }
            for each in await session.scalars(select(invoice).where(invoice.order_id.in_(theirs)).order_by(invoice.id))
        ],
        "coupons": [
            {
                "title": each.title,
                "off_cents": each.off_cents,
                "min_spend_cents": each.min_spend_cents,
                "granted_at": each.granted_at,
                "valid_until": each.valid_until,
                "used_at": each.used_at,
            }
            for each in await session.scalars(select(coupon).where(had).order_by(coupon.granted_at, coupon.id))
        ],
        "orders_shown": [
            {"order": each.order_id, "whole_phone": each.whole_phone, "at": each.proven_at}
            for each in await session.scalars(shown)
        ],
    }


def _order(order: models.Order) -> Mapping[str, Any]:
    return {
        "id": order.id,
        "status": order.status,
        "placed_at": order.placed_at,
        "paid_at": order.paid_at,
        "delivered_at": order.delivered_at,
        "total_cents": order.total_cents,
        "refunded_cents": order.refunded_cents,
        "recipient": order.recipient_name,
        "phone": order.recipient_phone,
        "address": order.recipient_address,
        "goods": [
            {"name": line.product_name, "spec": line.spec, "quantity": line.quantity, "cents": line.unit_price_cents}
            for line in order.lines
        ],
    }


def _ticket(ticket: models.Ticket) -> Mapping[str, Any]:
    return {
        "id": ticket.id,
        "order": ticket.order_id,
        "kind": ticket.kind,
        "reason": ticket.reason,
        "status": ticket.status,
        "note": ticket.note,
        "created_at": ticket.created_at,
        "refunded_cents": ticket.refunded_cents,
        "steps": [{"at": each.time, "status": each.status, "note": each.note} for each in ticket.events],
    }


async def _erase(session: AsyncSession, subject: Subject, _: datetime) -> None:
    order, ticket, step, invoice = models.Order, models.Ticket, models.TicketEvent, models.Invoice
    theirs = select(order.id).where(order.customer_id == subject.customer_id)
    blank = {"recipient_name": "", "recipient_phone": "", "recipient_address": "", "card_token": None}
    for order_id in (await session.scalars(theirs)).all():
        tail = {"phone_tail_index": secrets.token_hex(32)}  # no digits fit
        await session.execute(update(order).where(order.id == order_id).values(blank | tail))
    tickets = (await session.scalars(select(ticket.id).where(ticket.order_id.in_(theirs)))).all()
    for row, which in ((ticket, ticket.id.in_(tickets)), (step, step.ticket_id.in_(tickets))):
        for number in (await session.scalars(select(row.id).where(which))).all():
            await session.execute(update(row).where(row.id == number).values(note=""))
    await session.execute(update(invoice).where(invoice.order_id.in_(theirs)).values(email=None))
    proof, coupon = models.OwnershipProof, models.Coupon
    await session.execute(delete(proof).where(proof.order_id.in_(theirs)))
    mine = update(coupon).where(coupon.sender_index.in_(subject.sender_indexes))
    await session.execute(mine.values(sender_index=None, customer_id=subject.customer_id))


PERSONAL = Part(export=_export, erase=_erase)
