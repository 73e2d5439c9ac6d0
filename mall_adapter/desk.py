"""The service desk: customers who wait for a person, what people answer them, and what the bot did not understand.

No mall of somebody else has it, so it is no part of :class:`mall_adapter.mall.Mall`. Times are aware UTC; working hours
are Shanghai's. Every text and every sender is stored encrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

import settings
from mall_adapter import models
from mall_adapter.database import SHOP_TIME, WRITES, insert, insert_numbered
from mall_adapter.mall import HandoffStatus
from privacy.conversations import Row, conversation_of, open_events
from privacy.keyring import current_ring
from privacy.tables import conversation_event

TRANSCRIPT_LINES = 200


LIVE = (HandoffStatus.WAITING, HandoffStatus.CLAIMED)


class DeskError(Exception):
    """What is wanted does not fit the state of the hand-off. Messages hold no personal data."""


@dataclass(frozen=True, slots=True)
class Handoff:
    id: str  # "HF" + digits
    sender: str
    reason: str  # the intent that led here
    status: HandoffStatus
    requested_at: datetime
    claimed_at: datetime | None
    first_answer_at: datetime | None
    ended_at: datetime | None
    resolved: bool | None
    rating: int | None  # 1 to 5


@dataclass(frozen=True, slots=True)
class DeskMessage:
    """What the desk said to a customer; ``id`` rises."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance of a conversation."""

    who: str  # customer | bot | operator
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Misunderstood:
    id: int
    text: str
    guesses: list[tuple[str, float]]
    time: datetime


def open_hours() -> tuple[time, time]:
    """Shanghai's time. Raises ValueError when ``DESK_HOURS`` is not like ``09:00-21:00``."""
    begin, _, end = settings.desk_hours().partition("-")
    return time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())


def is_open(now: datetime) -> bool:
    begin, end = open_hours()
    return begin <= now.astimezone(SHOP_TIME).time() < end


def opens_at(now: datetime) -> datetime:
    """When people are there again, in Shanghai; ``now`` when they are there."""
    local = now.astimezone(SHOP_TIME)
    if is_open(now):
        return local
    begin, _ = open_hours()
    day: date = local.date() if local.time() < begin else local.date() + timedelta(days=1)
    return datetime.combine(day, begin, SHOP_TIME)


class Desk:
    """Safe to share between tasks; ``clock`` gives the aware present."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._reading = async_sessionmaker(engine)
        self._writing = async_sessionmaker(engine.execution_options(**WRITES))
        self.clock = clock

    # ---- the customer's side

    async def request(self, sender: str, reason: str) -> Handoff:
        """Queues the sender; who waits already, or is being answered, keeps the place."""
        who, now = models.sender_index(sender), self.clock()
        async with self._writing.begin() as session:
            if known := await self._live(session, who):
                return _to_handoff(known)
            handoff_id = await insert_numbered(
                session,
                models.Handoff,
                "HF",
                now,
                lambda _: {
                    "sender_index": who,
                    "sender": sender,
                    "reason": reason,
                    "status": HandoffStatus.WAITING,
                    "requested_at": now,
                },
            )
            return _to_handoff(await session.get_one(models.Handoff, handoff_id))

    async def live(self, sender: str) -> Handoff | None:
        async with self._reading() as session:
            found = await self._live(session, models.sender_index(sender))
            return _to_handoff(found) if found else None

    async def before(self, handoff: Handoff) -> int:
        """How many wait longer."""
        query = (
            select(func.count())
            .select_from(models.Handoff)
            .where(
                models.Handoff.status == HandoffStatus.WAITING,
                models.Handoff.requested_at < handoff.requested_at,
            )
        )
        async with self._reading() as session:
            return await session.scalar(query) or 0

    async def withdraw(self, sender: str) -> bool:
        """The customer waits no longer; False when nobody waited, or somebody answers already."""
        who = models.sender_index(sender)
        async with self._writing.begin() as session:
            found = await self._live(session, who)
            if found is None or found.status is not HandoffStatus.WAITING:
                return False
            found.status, found.ended_at = HandoffStatus.WITHDRAWN, self.clock()
            return True

    async def rate(self, sender: str, stars: int) -> bool:
        """Rates the sender's last ended hand-off with 1 to 5 stars; False when there is none."""
        if not 1 <= stars <= 5:
            raise ValueError("a rating is 1 to 5 stars")
        query = (
            select(models.Handoff)
            .where(
                models.Handoff.sender_index == models.sender_index(sender),
                models.Handoff.status == HandoffStatus.ENDED,
            )
            .order_by(models.Handoff.ended_at.desc())
            .limit(1)
        )
        async with self._writing.begin() as session:
            found = (await session.scalars(query)).one_or_none()
            if found:
                found.rating = stars
            return found is not None

    async def messages(self, sender: str, after: int) -> Sequence[DeskMessage]:
        """What the desk said to the sender after the message ``after``, oldest first."""
        query = (
            select(models.DeskMessage)
            .where(models.DeskMessage.sender_index == models.sender_index(sender), models.DeskMessage.id > after)
            .order_by(models.DeskMessage.id)
            .limit(50)
        )
        async with self._reading() as session:
            return [DeskMessage(row.id, row.text) for row in await session.scalars(query)]

    # ---- the people's side

    async def queue(self) -> Sequence[Handoff]:
        """Live ones, those who wait longest first."""
        query = select(models.Handoff).where(models.Handoff.status.in_(LIVE)).order_by(models.Handoff.requested_at)
        async with self._reading() as session:
            return [_to_handoff(row) for row in await session.scalars(query)]

    async def handoff(self, handoff_id: str) -> Handoff:
        async with self._reading() as session:
            return _to_handoff(await _get(session, handoff_id))

    async def claim(self, handoff_id: str) -> Handoff:
        """Somebody answers now. Claiming again changes nothing."""
        async with self._writing.begin() as session:
            found = await _get(session, handoff_id)
            if found.status is HandoffStatus.WAITING:
                found.status, found.claimed_at = HandoffStatus.CLAIMED, self.clock()
            elif found.status is not HandoffStatus.CLAIMED:
                raise DeskError(f"the hand-off is {found.status}")
            return _to_handoff(found)

    async def say(self, handoff_id: str, text: str, key: str) -> DeskMessage:
        """Writes what is said to the customer, once for a ``key``; it is delivered from here."""
        async with self._writing.begin() as session:
            found = await _get(session, handoff_id)
            if found.status is not HandoffStatus.CLAIMED:
                raise DeskError(f"the hand-off is {found.status}")
            found.first_answer_at = found.first_answer_at or self.clock()
            return await self._write(session, found.sender_index, text, key)

    async def hand_back(self, handoff_id: str, resolved: bool, goodbye: str) -> Handoff:
        """The bot answers again; the customer is told with ``goodbye``. Handing back again changes nothing."""
        async with self._writing.begin() as session:
            found = await _get(session, handoff_id)
            if found.status is HandoffStatus.CLAIMED:
                found.status, found.ended_at, found.resolved = HandoffStatus.ENDED, self.clock(), resolved
                await self._write(session, found.sender_index, goodbye, f"{handoff_id}:goodbye")
            elif found.status is not HandoffStatus.ENDED:
                raise DeskError(f"the hand-off is {found.status}")
            return _to_handoff(found)

    async def transcript(self, sender: str) -> Sequence[Line]:
        """The last lines of the sender's whole conversation, oldest first."""
        ring = current_ring()
        query = (
            select(conversation_event)
            .where(conversation_event.c.conversation == conversation_of(ring, sender))
            .order_by(conversation_event.c.position)
        )
        async with self._reading() as session:
            rows = [Row(*row) for row in await session.execute(query)]
        lines = [line for event in open_events(ring, rows, first=0) if (line := _line(event))]
        return lines[-TRANSCRIPT_LINES:]

    # ---- the trainers' queue

    async def note_misunderstood(
        self, sender: str, text: str, guesses: Sequence[tuple[str, float]], message_id: str
    ) -> None:
        """Once for each message."""
        who = models.sender_index(sender)
        row = {
            "message_index": models.sender_index(f"{sender} {message_id}"),
            "sender_index": who,
            "text": text,
            "guesses": [[name, round(confidence, 3)] for name, confidence in guesses[:5]],
            "time": self.clock(),
        }
        async with self._writing.begin() as session:
            await session.execute(insert(session, models.Misunderstood).values(row).on_conflict_do_nothing())

    async def misunderstood(self, limit: int = 100) -> Sequence[Misunderstood]:
        """Those that nobody has dealt with, newest first."""
        table = models.Misunderstood
        query = select(table).where(table.settled_at.is_(None)).order_by(table.id.desc()).limit(limit)
        async with self._reading() as session:
            return [
                Misunderstood(row.id, row.text, [(name, score) for name, score in row.guesses], row.time)
                for row in await session.scalars(query)
            ]

    async def settle(self, misunderstood_id: int) -> None:
        """A trainer has dealt with it."""
        table = models.Misunderstood
        async with self._writing.begin() as session:
            await session.execute(update(table).where(table.id == misunderstood_id).values(settled_at=self.clock()))

    # ----

    @staticmethod
    async def _live(session: AsyncSession, who: str) -> models.Handoff | None:
        query = select(models.Handoff).where(models.Handoff.sender_index == who, models.Handoff.status.in_(LIVE))
        return (await session.scalars(query)).one_or_none()

    async def _write(self, session: AsyncSession, who: str, text: str, key: str) -> DeskMessage:
        row = {"sender_index": who, "text": text, "key": key, "time": self.clock()}
        await session.execute(insert(session, models.DeskMessage).values(row).on_conflict_do_nothing())
        written = (await session.scalars(select(models.DeskMessage).where(models.DeskMessage.key == key))).one()
        return DeskMessage(written.id, written.text)


async def _get(session: AsyncSession, handoff_id: str) -> models.Handoff:
    found = await session.get(models.Handoff, handoff_id, with_for_update=True)
    if found is None:
        raise DeskError("there is no such hand-off")
    return found


def _to_handoff(row: models.Handoff) -> Handoff:
    return Handoff(
        row.id,
        row.sender,
        row.reason,
        row.status,
        row.requested_at,
        row.claimed_at,
        row.first_answer_at,
        row.ended_at,
        row.resolved,
        row.rating,
    )


def _line(event: dict[str, Any]) -> Line | None:
    if event["event"] not in ("user", "bot") or not event.get("text"):
        return None
    operator = (event.get("metadata") or {}).get("by") == "operator"
    who = "customer" if event["event"] == "user" else "operator" if operator else "bot"
    return Line(who, event["text"], datetime.fromtimestamp(event["timestamp"], UTC))
