"""What customers can ask for as owners of their data: a copy of all that is kept of them, and that they be forgotten.

What is kept of whom, each capability tells itself (:class:`storage.personal.Part`). What stays is what the law has
shops keep, of a number that names nobody: docs/privacy.md.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models, people, proofs
from mall_adapter.cards.personal import PERSONAL as CARDS
from mall_adapter.data_rights import erasures, exports
from mall_adapter.data_rights.erasures import CustomerErased, Obstacle, erase_due
from mall_adapter.data_rights.exports import Copy
from mall_adapter.data_rights.profile import PERSONAL as PROFILE
from mall_adapter.data_rights.purchases import PERSONAL as PURCHASES
from mall_adapter.data_rights.rules import RIGHTS
from mall_adapter.data_rights.talk import PERSONAL as TALK
from mall_adapter.energy.personal import PERSONAL as ENERGY
from mall_adapter.errors import EraseRefused, NotBound
from mall_adapter.leads.personal import PERSONAL as LEADS
from mall_adapter.notices.personal import PERSONAL as NOTICES
from mall_adapter.offers.personal import PERSONAL as OFFERS
from mall_adapter.proof_limits import ProofLimits
from mall_adapter.transactions import Clock, Transactions, utc_now
from mall_adapter.values import Proof
from storage.personal import MESSAGES, Part

__all__ = [
    "PARTS",
    "RIGHTS",
    "Copies",
    "Copy",
    "CustomerErased",
    "DataRights",
    "Link",
    "Obstacle",
    "Standing",
    "erase_due",
]

# what points at others comes before them; the profile, by which all the rest is found, last
PARTS: tuple[Part, ...] = (PURCHASES, ENERGY, OFFERS, CARDS, LEADS, NOTICES, TALK, MESSAGES, PROFILE)
"""Of the mall and of what it stands on."""


@dataclass(frozen=True, slots=True)
class Link:
    token: str
    good_until: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """``due_at``: when the customer will be forgotten, if they have asked."""

    due_at: datetime | None
    obstacle: Obstacle | None
    about: str  # the order or ticket that is under way


class DataRights:
    """For customers in a conversation; safe to share between tasks. ``clock`` gives the aware present."""

    def __init__(self, engine: AsyncEngine, limits: ProofLimits, clock: Clock = utc_now) -> None:
        self._database = Transactions(engine, clock)
        self._limits = limits

    async def ask_copy(self, sender: str, idempotency_key: str) -> Link:
        """A link for the sender's customer, in place of an earlier one. Raises NotBound, InPublic."""
        people.keep_private(sender)
        token = exports.derive(sender, idempotency_key)

        async def ask(session: AsyncSession, now: datetime) -> datetime:
            return await exports.ask(session, await _customer(session, sender), token, now)

        until = await self._database.once(sender, idempotency_key, "ask_copy", {}, datetime, ask)
        return Link(token, until)

    async def standing(self, sender: str) -> Standing:
        """Raises NotBound, InPublic."""
        people.keep_private(sender)
        async with self._database.reading() as session:
            customer_id = await _customer(session, sender)
            found = await erasures.obstacle(session, customer_id)
            return Standing(await erasures.asked(session, customer_id), *(found or (None, "")))

    async def ask_erasure(self, sender: str, phone: str, idempotency_key: str, address: str | None = None) -> datetime:
        """When the sender's customer will be forgotten. ``phone``: the whole number, which only they know; wrong ones
        are counted. Raises NotBound, InPublic, WrongProof, BindingLocked, EraseRefused."""
        people.keep_private(sender)

        async def ask(session: AsyncSession, now: datetime) -> proofs.Verdict:
            customer_id = await _customer(session, sender)
            attempt = proofs.Attempt(Proof.PHONE, sender, customer_id, address)
            counts = await proofs.hold(session, self._limits, attempt, now)
            if until := counts.locked_until(now):
                return proofs.Verdict(locked_until=until)
            known = await session.scalar(select(models.Customer.phone_index).where(models.Customer.id == customer_id))
            if not hmac.compare_digest(models.phone_index(phone), known or ""):
                return counts.wrong(now)
            await people.lock_customers(session, customer_id)
            if await erasures.obstacle(session, customer_id) is None:
                await erasures.ask(session, customer_id, await people.actor_of(session, sender), now)
            return proofs.Verdict(proved=customer_id)

        told = {"phone": models.phone_index(phone)}
        verdict = await self._database.once(sender, idempotency_key, "ask_erasure", told, proofs.Verdict, ask)
        if refusal := verdict.refusal(Proof.PHONE):
            raise refusal
        found = await self.standing(sender)
        if found.due_at is None:
            raise EraseRefused(found.obstacle or "over", found.about)
        return found.due_at

    async def withdraw_erasure(self, sender: str) -> bool:
        """Whether the sender's customer had asked to be forgotten, and is not. Raises NotBound, InPublic."""
        people.keep_private(sender)
        async with self._database.writing() as session:
            customer_id = await _customer(session, sender)
            by = await people.actor_of(session, sender)
            return await erasures.withdraw(session, customer_id, by, self._database.clock())


class Copies:
    """For whoever has a link to a copy. ``parts``: of all rooms."""

    def __init__(self, engine: AsyncEngine, parts: Sequence[Part], clock: Clock = utc_now) -> None:
        self._database = Transactions(engine, clock)
        self._parts = parts

    async def is_good(self, token: str) -> bool:
        async with self._database.reading() as session:
            return await exports.is_good(session, token, self._database.clock())

    async def fetch(self, token: str, tail: str) -> tuple[Copy | None, int]:
        """The copy, once; or None, and how many tries are left. Raises NotFound for a link that is over."""
        async with self._database.writing() as session:
            return await exports.fetch(session, self._parts, token, tail, self._database.clock())


async def _customer(session: AsyncSession, sender: str) -> str:
    customer_id = await session.scalar(select(people.customer_id_of(sender)))
    if customer_id is None:
        raise NotBound("a visitor is no customer")
    return str(customer_id)
