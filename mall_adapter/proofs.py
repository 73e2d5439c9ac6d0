"""Wrong proofs, counted, until the way of proving is locked for a while: what keeps a few digits from being guessed.

A try counts for everybody whom it may belong to: the sender at this order, the sender, the order whoever asks, the
caller's address (``rules/proofs.yml``). Counted is what was typed: a number that no order has has the same tries left
and the same locks as any other, so nothing tells which orders there are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.errors import BindingLocked, CodeOver, OrderLocked, WrongPhoneTail, WrongProof
from mall_adapter.proof_limits import Limit, ProofLimits
from mall_adapter.values import Proof
from storage import insert

_AN_ORDER = re.compile(r"[0-9A-Za-z]{1,40}")
_NO_ORDER = "?"
"""What no number can be is counted as one: nothing that is typed can fill the table, or break it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody wants to prove something: ``address`` is the caller's, None for a channel that knows none. A code is
    tried at no order."""

    way: Proof
    sender: str
    order_id: str = ""
    address: str | None = None

    def counted_for(self, limits: ProofLimits) -> dict[tuple[str, str, str], Limit]:
        """Sender, order and address of each count to which the attempt belongs, in the order in which rows are
        locked."""
        who = models.sender_index(self.sender)
        order = models.typed_order_index(self.order_id if _AN_ORDER.fullmatch(self.order_id) else _NO_ORDER)
        places = {"sender_at_order": (who, order, ""), "sender": (who, "", ""), "order": ("", order, "")}
        if self.address is not None:
            places["address"] = ("", "", models.address_index(self.address))
        found = {places[name]: limit for name, limit in limits.of(self.way).items() if name in places}
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of an attempt: kept as the answer of its key, so that one that is repeated counts once."""

    proved: str | None = None  # the id of the order, or of the customer to whom both belong
    tries_left: int | None = None  # it was wrong
    locked_until: datetime | None = None
    over: bool = False  # it was right once

    def refusal(self, way: Proof) -> WrongProof | WrongPhoneTail | BindingLocked | OrderLocked | CodeOver | None:
        if self.proved is not None:
            return None
        if self.over:
            return CodeOver("the code was good before")
        if self.locked_until is not None:
            return OrderLocked(self.locked_until) if way is Proof.TAIL else BindingLocked(self.locked_until)
        left = self.tries_left or 0
        return WrongPhoneTail(left) if way is Proof.TAIL else WrongProof(left)


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of one attempt, held until the transaction ends: two tries at once are two tries."""

    rows: Sequence[tuple[models.WrongProofs, Limit]]
    limits: ProofLimits

    def locked_until(self, now: datetime) -> datetime | None:
        """None while the way is open."""
        return max(
            (row.locked_until for row, _ in self.rows if row.locked_until and row.locked_until > now), default=None
        )

    def wrong(self, now: datetime) -> Verdict:
        """Counts a wrong try: how many are left, whosever run out first, or until when the way is locked now."""
        lock = self.limits.lock
        for row, limit in self.rows:
            if row.counted_until <= now or row.locked_until:
                row.tries, row.locked_until, row.counted_until = 0, None, now + timedelta(hours=limit.hours)
            row.tries += 1
            row.forgotten_at = max(row.forgotten_at, row.counted_until)
            if row.tries >= limit.tries:
                row.locked_until = now + lock.lasts(row.times_locked)
                row.times_locked += 1
                row.forgotten_at = max(row.forgotten_at, row.locked_until + lock.remembered)
        if until := self.locked_until(now):
            return Verdict(locked_until=until)
        return Verdict(tries_left=min(limit.tries - row.tries for row, limit in self.rows))


async def locked_until(session: AsyncSession, limits: ProofLimits, attempt: Attempt, now: datetime) -> datetime | None:
    """Until when the way is locked; None while it is open. Writes and holds nothing."""
    latest = select(func.max(models.WrongProofs.locked_until)).where(
        models.WrongProofs.locked_until > now, _counting(attempt, limits)
    )
    return await session.scalar(latest)


async def hold(session: AsyncSession, limits: ProofLimits, attempt: Attempt, now: datetime) -> Counts:
    """The attempt's counts, locked."""
    table = models.WrongProofs
    await session.execute(delete(table).where(table.forgotten_at <= now))
    counted_for = attempt.counted_for(limits)
    fresh = {"way": attempt.way, "tries": 0, "counted_until": now, "times_locked": 0, "forgotten_at": now}
    rows = [fresh | {"sender_index": who, "order_index": order, "address_index": at} for who, order, at in counted_for]
    await session.execute(insert(session, table).values(rows).on_conflict_do_nothing())
    query = select(table).where(_counting(attempt, limits)).order_by(*_KEY).with_for_update()
    held = {(row.sender_index, row.order_index, row.address_index): row for row in await session.scalars(query)}
    return Counts([(held[key], limit) for key, limit in counted_for.items()], limits)


_KEY = (models.WrongProofs.sender_index, models.WrongProofs.order_index, models.WrongProofs.address_index)


def _counting(attempt: Attempt, limits: ProofLimits) -> ColumnElement[bool]:
    rows = (
        and_(*(column == value for column, value in zip(_KEY, key, strict=True))) for key in attempt.counted_for(limits)
    )
    return or_(*(and_(models.WrongProofs.way == attempt.way, row) for row in rows))
