"""One-time codes: whoever is bound in one channel gets one, and types it in another to be bound there, too.

Kept is a keyed hash of it. The code itself is derived from the request that it answers, so that a request that comes
again gets the same one although nobody has stored it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, people, proofs
from mall_adapter.errors import NotBound
from mall_adapter.proof_limits import ProofLimits
from mall_adapter.values import Masked
from privacy.columns import exact_index
from storage import insert

GOOD_FOR = timedelta(minutes=5)
REMEMBERED = timedelta(hours=24)
"""How long it is told of a code that it is over, and not that there is none."""

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Made:
    """What is kept as the answer of a request: from which of its derived codes was free the code can be told again."""

    candidate: int
    good_until: datetime


def derive(sender: str, idempotency_key: str, candidate: int) -> str:
    """Six digits that nobody foresees who does not have the key ring."""
    told = exact_index(json.dumps([sender, idempotency_key, candidate]), "binding_code.derived")
    return f"{int(told, 16) % 10**_DIGITS:0{_DIGITS}d}"


async def make(session: AsyncSession, sender: str, idempotency_key: str, now: datetime) -> Made:
    """A code that no other customer has now, in place of the one that the sender's customer had. Raises NotBound."""
    customer_id = await session.scalar(select(people.customer_id_of(sender)))
    if customer_id is None:
        raise NotBound("a visitor has no account to be bound to")
    await people.lock_customers(session, customer_id)  # two requests at once: the later code replaces the earlier
    code = models.BindingCode
    await session.execute(delete(code).where(code.good_until <= now - REMEMBERED))
    await end(session, customer_id, now)
    good_until = now + GOOD_FOR
    for candidate in count():
        new = {
            "code_index": models.code_index(derive(sender, idempotency_key, candidate)),
            "customer_id": customer_id,
            "good_until": good_until,
            "ended_at": None,
        }
        made = insert(session, code).values(new)
        over = code.ended_at.is_not(None) | (code.good_until <= now)
        made = made.on_conflict_do_update(index_elements=["code_index"], set_=new, where=over)
        if await session.scalar(made.returning(code.code_index)):
            break
    return Made(candidate, good_until)


async def end(session: AsyncSession, customer_id: str, now: datetime) -> None:
    """The customer's code is good no more."""
    code = models.BindingCode
    mine = update(code).where(code.customer_id == customer_id, code.ended_at.is_(None))
    await session.execute(mine.values(ended_at=now))


async def look_up(
    session: AsyncSession, limits: ProofLimits, attempt: proofs.Attempt, told: str, now: datetime, *, use: bool
) -> proofs.Verdict:
    """Whose code was ``told``; with ``use`` it is good no more.

    A refusal is returned and not raised, so that the transaction commits the counted try. One who tells a code that is
    over has had it, and is not counted as a guesser.
    """
    counts = await proofs.hold(session, limits, attempt, now)
    if until := counts.locked_until(now):
        return proofs.Verdict(locked_until=until)
    query = select(models.BindingCode).where(models.BindingCode.code_index == models.code_index(told))
    code = await session.scalar(query.with_for_update())
    if code is None:
        return counts.wrong(now)
    if code.ended_at is not None or code.good_until <= now:
        return proofs.Verdict(over=True)
    if use:
        code.ended_at = now
    return proofs.Verdict(proved=code.customer_id)


def mask(name: str) -> Masked:
    """``周琳`` → ``周*``: enough to know oneself by."""
    return Masked(name[:1] + "*" * min(max(len(name) - 1, 1), 2))
