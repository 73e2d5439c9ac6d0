"""Who a channel account is: bound to a customer, by the shop or by a proof that only the customer can give."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, people, proofs
from mall_adapter.cards import persons
from mall_adapter.proof_limits import ProofLimits
from storage import Actor


async def bind(session: AsyncSession, sender: str, customer_id: str, by: Actor | None, now: datetime) -> None:
    """Ties the sender to a customer, in place of an earlier one; coupons and cards that the sender held go along.
    ``by``: None if they have proved it themselves. Raises NotFound."""
    await people.bind(session, sender, customer_id, by, now)
    await persons.bound(session, sender, by or await people.actor_of(session, sender), now)
    await session.execute(
        update(models.Coupon)
        .where(models.Coupon.sender_index == models.sender_index(sender))
        .values(customer_id=people.kept(literal(customer_id)), sender_index=None)
    )


async def unbind(session: AsyncSession, sender: str, now: datetime) -> None:
    """The sender is a visitor from now on, who has proved no order; coupons stay with the customer."""
    await people.unbind(session, sender, now)
    proof = models.OwnershipProof
    await session.execute(delete(proof).where(proof.sender_index == models.sender_index(sender)))


async def prove(
    session: AsyncSession, limits: ProofLimits, attempt: proofs.Attempt, phone: str, now: datetime
) -> proofs.Verdict:
    """Proves the customer to whom both belong.

    A refusal is returned and not raised, so that the transaction commits the counted try.
    """
    counts = await proofs.hold(session, limits, attempt, now)
    if until := counts.locked_until(now):
        return proofs.Verdict(locked_until=until)
    owner = (
        select(models.Order.customer_id)
        .join(models.Customer, models.Order.customer_id == people.kept(models.Customer.id))
        .where(models.Customer.phone_index == models.phone_index(phone), models.Order.id == attempt.order_id)
    )
    if customer_id := await session.scalar(owner):
        # wrong tries stay counted, or one's own proof would buy five more at somebody else's
        return proofs.Verdict(proved=customer_id)
    return counts.wrong(now)
