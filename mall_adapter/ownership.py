"""Whose an order is: the bound customer's, or that of a sender who has named the phone on it, or its last digits.

Who it does not belong to learns nothing of an order, not even whether there is one: the same statements run, the same
tries are counted and the same errors are raised for a number that no order has.
"""

from __future__ import annotations

import hmac
from datetime import datetime

from sqlalchemy import CompoundSelect, Select, delete, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, orders, people, proofs
from mall_adapter.errors import OrderLocked, OwnershipRequired
from mall_adapter.proof_limits import ProofLimits
from mall_adapter.values import Proof
from storage import insert


def owned_ids(sender: str, whole_phone: bool = False) -> CompoundSelect[str]:
    """Ids of the orders of the sender's customer and of those that the sender has proved to own; with ``whole_phone``
    only by the whole number of its phone."""
    who = models.sender_index(sender)
    proof = models.OwnershipProof
    bound = select(models.Order.id).where(models.Order.customer_id == people.customer_id_of(sender))
    proved: Select[str] = select(proof.order_id).where(proof.sender_index == who)
    return union_all(bound, proved.where(proof.whole_phone) if whole_phone else proved)


async def owned(
    session: AsyncSession, limits: ProofLimits, sender: str, order_id: str, now: datetime, address: str | None = None
) -> models.Order:
    """The order if it is this sender's; else raises OwnershipRequired, or OrderLocked while a tail proves nothing."""
    query = orders.WHOLE_ORDERS.where(models.Order.id == order_id, models.Order.id.in_(owned_ids(sender)))
    order = (await session.scalars(query)).unique().one_or_none()
    if order is not None:
        return order
    attempt = proofs.Attempt(Proof.TAIL, sender, order_id, address)
    if until := await proofs.locked_until(session, limits, attempt, now):
        raise OrderLocked(until)
    raise OwnershipRequired(order_id)


async def proved(session: AsyncSession, sender: str, order_id: str) -> Proof | None:
    """The best by which the sender has shown that the order is theirs; whoever is bound needs no better one."""
    query = select(
        models.Order.id.in_(owned_ids(sender)), models.Order.id.in_(owned_ids(sender, whole_phone=True))
    ).where(models.Order.id == order_id)
    shown, by_phone = (await session.execute(query)).one_or_none() or (False, False)
    return Proof.PHONE if by_phone else Proof.TAIL if shown else None


async def prove(
    session: AsyncSession, limits: ProofLimits, attempt: proofs.Attempt, told: str, now: datetime
) -> proofs.Verdict:
    """Compares what was ``told``, a phone or its tail, with the order's; what already was proved is proved.

    A refusal is returned and not raised, so that the transaction commits the counted try.
    """
    whole = attempt.way is Proof.PHONE
    await orders.lock(session, attempt.order_id)
    counts = await proofs.hold(session, limits, attempt, now)
    secret = models.Order.recipient_phone if whole else models.Order.phone_tail_index
    owned_already = models.Order.id.in_(owned_ids(attempt.sender, whole))
    query = select(secret, owned_already).where(models.Order.id == attempt.order_id)
    found = (await session.execute(query)).one_or_none()
    kept, already = found or ("", False)
    if already:
        return proofs.Verdict(proved=attempt.order_id)
    if until := counts.locked_until(now):
        return proofs.Verdict(locked_until=until)
    expected = models.phone_index(kept) if whole else kept
    named = models.phone_index(told) if whole else models.phone_tail_index(attempt.order_id, told)
    if hmac.compare_digest(named, expected) and found:
        await _record(session, attempt.sender, attempt.order_id, whole, now)
        return proofs.Verdict(proved=attempt.order_id)
    return counts.wrong(now)


async def _record(session: AsyncSession, sender: str, order_id: str, whole_phone: bool, now: datetime) -> None:
    proof = {
        "sender_index": models.sender_index(sender),
        "order_id": order_id,
        "whole_phone": whole_phone,
        "proven_at": now,
    }
    await session.execute(
        insert(session, models.OwnershipProof)
        .values(proof)
        .on_conflict_do_update(
            index_elements=["sender_index", "order_id"], set_={"whole_phone": whole_phone, "proven_at": now}
        )
    )


async def forget_proofs(session: AsyncSession, order_id: str, but: str) -> None:
    """The order has another phone: what was proved by the old one is proved no more, but by ``but``, who told it."""
    proof = models.OwnershipProof
    await session.execute(
        delete(proof).where(proof.order_id == order_id, proof.sender_index != models.sender_index(but))
    )
