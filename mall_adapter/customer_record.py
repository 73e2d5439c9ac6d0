"""Everything that the house has about one customer: where it lies and how much it is, not what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, permissions
from mall_adapter.cards import persons
from mall_adapter.energy.names import customer as earner
from mall_adapter.errors import NotFound
from mall_adapter.people import kept, principal_of
from privacy.tables import conversation_event
from storage import Actor, Event, EventRow, Role, record

_SUBJECTS = (("order", "orders"), ("ticket", "tickets"), ("offer", "offers"))
"""Of events: what they happened to, and where its ids stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerLookedUp(Event):
    """``subject`` is the customer's principal."""

    kind: ClassVar[str] = "customer_looked_up"


@dataclass(frozen=True, slots=True)
class Account:
    channel: str | None  # None and no conversation: one that has not written since accounts are kept
    conversation: str | None
    bound: bool  # False: has only shown that an order of theirs is its own
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class CustomerRecord:
    id: str
    name: str
    registered_at: datetime
    roles: Sequence[Role]
    accounts: Sequence[Account]
    ids: Mapping[str, Sequence[str]]  # by table, the newest last
    counts: Mapping[str, int]


async def look_up(session: AsyncSession, actor: Actor, which: str, now: datetime) -> CustomerRecord:
    """By the customer's id or whole phone, also those of one who was merged into them; that ``actor`` looks is put on
    record. Raises NotFound."""
    permissions.check(actor, "look_up")
    customer = models.Customer
    named = select(kept(customer.id)).where(
        (customer.id == which) | (customer.phone_index == models.phone_index(which))
    )
    query = select(customer).where(customer.id == named.scalar_subquery())
    found = await session.scalar(query)
    if found is None:
        raise NotFound("There is no such customer / 没有这位顾客")
    principal_id = principal_of(found.id)
    record(session, CustomerLookedUp(subject=f"principal:{principal_id}"), actor, now)

    order, account, proof, held = models.Order, models.ChannelAccount, models.OwnershipProof, models.Membership
    theirs: Select[str] = select(order.id).where(order.customer_id == found.id)
    bound = select(account.sender_index).where(account.principal_id == principal_id)
    shown = (
        select(account.sender_index)
        .join(proof, proof.sender_index == account.sender_index)
        .where(account.principal_id.is_(None), proof.order_id.in_(theirs))
    )
    chosen = account.sender_index.in_(bound.union(shown))
    accounts = (await session.scalars(select(account).where(chosen).order_by(account.first_seen_at))).all()
    senders = [each.sender_index for each in accounts]
    said = [each.conversation for each in accounts if each.conversation]

    ticket, coupon, invoice, handoff = models.Ticket, models.Coupon, models.Invoice, models.Handoff
    lot, offer = models.EnergyLot, models.Offer
    complaint, misunderstood, holder = models.Complaint, models.Misunderstood, models.CardHolder
    lead, asked, talk = models.Lead, models.LeadQuestion, models.LeadTalk
    listed: dict[str, Select[Any]] = {
        "orders": theirs.order_by(order.placed_at, order.id),
        "tickets": select(ticket.id).where(ticket.order_id.in_(theirs)).order_by(ticket.created_at, ticket.id),
        "invoices": select(invoice.id).where(invoice.order_id.in_(theirs)).order_by(invoice.created_at, invoice.id),
        "coupons": select(coupon.id)
        .where((coupon.customer_id == found.id) | coupon.sender_index.in_(senders))
        .order_by(coupon.granted_at, coupon.id),
        "energy": select(lot.id).where(lot.person == earner(found.id)).order_by(lot.earned_at, lot.id),
        "offers": select(offer.id).where(offer.customer_id == found.id).order_by(offer.made_at, offer.id),
        "proofs": select(proof.order_id).where(proof.sender_index.in_(senders)).order_by(proof.proven_at),
        "handoffs": select(handoff.id).where(handoff.sender_index.in_(senders)).order_by(handoff.id),
        "complaints": select(complaint.id).where(complaint.conversation.in_(said)).order_by(complaint.id),
        "misunderstood": select(misunderstood.id)
        .where(misunderstood.conversation.in_(said))
        .order_by(misunderstood.id),
        "leads": select(lead.id).where(lead.person == persons.of_customer(found.id)).order_by(lead.id),
        "lead_talks": select(talk.id).where(talk.person == persons.of_customer(found.id)).order_by(talk.id),
        "lead_questions": select(asked.id).where(asked.person == persons.of_customer(found.id)).order_by(asked.id),
        "cards": select(holder.token).where(holder.person == persons.of_customer(found.id)).order_by(holder.id),
    }
    ids = {name: [str(one) for one in await session.scalars(query)] for name, query in listed.items()}
    subjects = [f"principal:{principal_id}"]
    subjects += [f"{kind}:{one}" for kind, name in _SUBJECTS for one in ids[name]]
    turns, view = conversation_event.c, models.ConversationView
    counted: dict[str, Select[Any]] = {
        "turns": select(func.count()).where(turns.conversation.in_(said)),
        "views": select(func.count()).where(view.conversation.in_(said)),
        "events": select(func.count()).where(EventRow.subject.in_(subjects)),
    }
    roles = await session.scalars(select(held.role).where(held.principal_id == principal_id).order_by(held.id))
    return CustomerRecord(
        found.id,
        found.name,
        found.registered_at,
        roles.all(),
        [Account(each.channel, each.conversation, each.bound_at is not None, each.first_seen_at) for each in accounts],
        ids,
        {name: int(await session.scalar(query) or 0) for name, query in counted.items()},
    )
