"""Whether somebody's last 90 days look like a way of getting money: a score, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, people
from mall_adapter.facts import WINDOW
from mall_adapter.handoff import ComplaintKind
from mall_adapter.offers.rules import Claims
from mall_adapter.values import OfferState, TicketKind, TicketStatus

_MONEY_BACK = (TicketKind.RETURN, TicketKind.REFUND)


async def count(session: AsyncSession, customer_id: str, now: datetime) -> dict[str, int]:
    """By the names of ``budgets.yml``."""
    ticket, order, complaint, account, offer = (
        *(models.Ticket, models.Order, models.Complaint, models.ChannelAccount, models.Offer),
    )
    since = now - WINDOW
    theirs = (
        select(func.count())
        .select_from(ticket)
        .join(order, order.id == ticket.order_id)
        .where(order.customer_id == customer_id, ticket.created_at >= since)
    )
    said = select(account.conversation).where(account.principal_id == people.principal_of(customer_id))
    counted: dict[str, Select[int]] = {
        "refunds": theirs.where(ticket.kind.in_(_MONEY_BACK), ticket.status != TicketStatus.CANCELLED),
        "rejected": theirs.where(ticket.status == TicketStatus.REJECTED),
        "demands": select(func.count()).where(
            complaint.kind == ComplaintKind.COMPENSATION,
            complaint.conversation.in_(said),
            complaint.noted_at >= since,
        ),
        "accepted": select(func.count()).where(
            offer.customer_id == customer_id, offer.state == OfferState.ACCEPTED, offer.made_at >= since
        ),
    }
    return {name: int(await session.scalar(query) or 0) for name, query in counted.items()}


def weigh(claims: Claims, counts: Mapping[str, int]) -> tuple[int, str]:
    """The score, and its parts in words that operators read: "refunds 4: 40, demands 1: 60"."""
    found = {name: sign.points for name, sign in claims.signs().items() if counts.get(name, 0) >= sign.start}
    return sum(found.values()), ", ".join(f"{name} {counts[name]}: {points}" for name, points in found.items())
