"""The steps of a hand-off, in the caller's transaction: of whoever takes a conversation over, at the desk or from a
chat of their own.

What is done is written together with the dispatch that takes it through the bot to the customer.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.errors import InvalidTransition, NotFound
from mall_adapter.handoff import DeskEvent, Handoff, HandoffReason, HandoffStatus
from mall_adapter.models.leads import TalkEnding
from storage import insert, outbox

LIVE = (HandoffStatus.WAITING, HandoffStatus.CLAIMED)

CHANNEL = "desk"
"""Of the outbox: from the desk through the bot to the customer."""


def newest(sender: str) -> Select[models.Handoff]:
    row = models.Handoff
    return select(row).where(row.sender_index == models.sender_index(sender)).order_by(row.id.desc()).limit(1)


async def live(session: AsyncSession, sender: str, *, lock: bool = False) -> models.Handoff | None:
    query = newest(sender).where(models.Handoff.status.in_(LIVE))
    return await session.scalar(query.with_for_update() if lock else query)


async def enqueue(session: AsyncSession, sender: str, reason: HandoffReason, now: datetime) -> models.Handoff:
    """A new row, or the one that somebody else has made in the meantime."""
    new = {
        "sender": sender,
        "sender_index": models.sender_index(sender),
        "reason": reason,
        "status": HandoffStatus.WAITING,
        "requested_at": now,
    }
    for _ in range(3):  # one that was made in between may also have ended in between
        await session.execute(insert(session, models.Handoff).values(new).on_conflict_do_nothing())
        if row := await live(session, sender):
            return row
    raise RuntimeError("hand-offs of one sender come and go too quickly")


async def read(session: AsyncSession, handoff_id: int, *, lock: bool = False) -> models.Handoff:
    row = await session.get(models.Handoff, handoff_id, with_for_update=lock)
    if row is None:
        raise NotFound(f"no hand-off {handoff_id}")
    return row


def require(row: models.Handoff, status: HandoffStatus) -> None:
    if row.status is not status:
        raise InvalidTransition(f"hand-off {row.id} is {row.status}, not {status}")


async def claim(session: AsyncSession, row: models.Handoff, name: str, now: datetime, *, in_chat: bool = False) -> None:
    """Whoever is called so talks from now on: at the desk, or ``in_chat``. One who talked in a chat does not any more.

    The row is locked.
    """
    first = row.status is HandoffStatus.WAITING
    if row.in_chat:
        await _end_talk(session, row, TalkEnding.TAKEN, now)
    row.status, row.operator, row.claimed_at, row.in_chat = HandoffStatus.CLAIMED, name, now, in_chat
    row.read_by_person = None
    await dispatch(session, row, DeskEvent.PAUSE, _pause_id(row) if first else _taken_id(row), name, now)


async def say(session: AsyncSession, row: models.Handoff, text: str, message_id: str, now: datetime) -> None:
    """Words for the customer, each id once. The row is locked; raises InvalidTransition when nobody has claimed it."""
    if not await dispatched(session, row, message_id):
        require(row, HandoffStatus.CLAIMED)
        row.first_answer_at = row.first_answer_at or now
        await dispatch(session, row, DeskEvent.SAID, message_id, text, now)


async def hand_back(
    session: AsyncSession, row: models.Handoff, resolved: bool, now: datetime, ending: TalkEnding = TalkEnding.TAKEN
) -> None:
    """The bot talks again; ``ending``: how it ends for one who talks in a chat. The row is locked; raises
    InvalidTransition when nobody has claimed it."""
    require(row, HandoffStatus.CLAIMED)
    if row.in_chat:
        await _end_talk(session, row, ending, now)
    row.status, row.resolved, row.ended_at = HandoffStatus.ENDED, resolved, now
    await dispatch(session, row, DeskEvent.RESUME, _resume_id(row), "", now)


async def _end_talk(session: AsyncSession, row: models.Handoff, ending: TalkEnding, now: datetime) -> None:
    talk = models.LeadTalk
    live = update(talk).where(talk.handoff_id == row.id, talk.ended_at.is_(None))
    await session.execute(live.values(ended_at=now, ending=ending))


def _pause_id(row: models.Handoff) -> str:
    return f"desk-{row.id}-pause"


def _taken_id(row: models.Handoff) -> str:
    return f"desk-{row.id}-taken"


def _resume_id(row: models.Handoff) -> str:
    return f"desk-{row.id}-resume"


def ends_of(row: models.Handoff) -> frozenset[str]:
    """Names, in the conversation, of what ends a talk in a chat."""
    return frozenset({_taken_id(row), _resume_id(row)})


async def dispatched(session: AsyncSession, row: models.Handoff, message_id: str) -> bool:
    return await outbox.enqueued(session, CHANNEL, f"{row.sender} {message_id}")


async def dispatch(
    session: AsyncSession, row: models.Handoff, event: DeskEvent, message_id: str, text: str, now: datetime
) -> None:
    """Appends to what the sender is told. The hand-off's row is locked, so nobody else writes to it."""
    mine = models.DeskUpdate
    last = await session.scalar(select(func.max(mine.position)).where(mine.sender_index == row.sender_index))
    position = (last or 0) + 1
    message = outbox.Message(
        channel=CHANNEL,
        recipient=row.sender,
        order_key=row.sender,
        kind=event,
        payload={"position": position, "event": event, "message_id": message_id, "text": text},
        dedupe=f"{row.sender} {message_id}",
        cause=f"handoff:{row.id}",
    )
    if number := await outbox.enqueue(session, message, now):
        who = row.sender_index
        session.add(mine(sender_index=who, position=position, handoff_id=row.id, event=event, outbox_id=number))


def to_handoff(row: models.Handoff) -> Handoff:
    return Handoff(
        id=row.id,
        sender=row.sender,
        reason=row.reason,
        status=row.status,
        requested_at=row.requested_at,
        operator=row.operator,
        claimed_at=row.claimed_at,
        first_answer_at=row.first_answer_at,
        ended_at=row.ended_at,
        resolved=row.resolved,
        stars=row.stars,
        in_chat=row.in_chat,
        read_by_customer=row.read_by_customer,
        read_by_person=row.read_by_person,
    )
