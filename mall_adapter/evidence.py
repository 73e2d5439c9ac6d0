"""Whose conversations go with what: for those who look into a case, and for what may not be forgotten yet."""

from __future__ import annotations

from sqlalchemy import ColumnElement, CompoundSelect, Select, or_, select, union

from mall_adapter import models
from mall_adapter.handoff import HandoffStatus
from mall_adapter.values import UNSETTLED


def accounts_of(orders: Select[str]) -> ColumnElement[bool]:
    """Of channel accounts: those of the orders' customers, and of whoever has proved one. ``orders`` are ids."""
    account, proof = models.ChannelAccount, models.OwnershipProof
    customers = select(models.Principal.id).join(models.Order, models.Order.customer_id == models.Principal.customer_id)
    provers = select(proof.sender_index).where(proof.order_id.in_(orders))
    return or_(
        account.principal_id.in_(customers.where(models.Order.id.in_(orders))), account.sender_index.in_(provers)
    )


def needed() -> CompoundSelect[str]:
    """Keyed hashes of the conversations (``privacy.conversations.conversation_of``) of which a ticket, a hand-off or a
    complaint is open."""
    account, handoff, complaint = models.ChannelAccount, models.Handoff, models.Complaint
    cases = select(models.Ticket.order_id).where(models.Ticket.status.in_(UNSETTLED))
    waiting = handoff.status.in_((HandoffStatus.WAITING, HandoffStatus.CLAIMED))
    senders = account.sender_index.in_(select(handoff.sender_index).where(waiting))
    theirs = select(account.conversation).where(account.conversation.is_not(None), or_(accounts_of(cases), senders))
    return union(theirs, select(complaint.conversation).where(complaint.settled_at.is_(None)))
