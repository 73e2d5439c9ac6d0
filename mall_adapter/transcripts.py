"""Conversations, read from the bot's sealed store: what was said, for those who take over, and every event, for those
who want to know why; of the latter a record is kept."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from mall_adapter.errors import NotFound
from mall_adapter.handoff import TURNS, Exchange, Line, Viewing
from privacy import KeyRing, TamperedError, current_ring
from privacy.conversations import Row, conversation_of, open_events
from privacy.tables import conversation_event

log = logging.getLogger(__name__)

DAMAGED = "（更早的记录无法解密，可能被改动过）"
"""Shown to operators in place of what does not open."""


_TELL_A_CODE = ("utter_account_code", "utter_export_ready")
"""The responses of the bot that tell what is good once; they name it (``code``) beside their words."""

VIEWINGS = 10
"""Earlier looks into a conversation that are told."""


async def read(session: AsyncSession, sender: str, after: int | None) -> tuple[Sequence[Line], int]:
    """The lines from event ``after`` on (None: of the last turns), and the ``after`` that continues."""
    ring, table = current_ring(), conversation_event
    query = select(table).where(table.c.conversation == conversation_of(ring, sender)).limit(TURNS)
    if after is None:
        query = query.order_by(table.c.position.desc())
    else:
        query = query.where(table.c.position >= after).order_by(table.c.position)
    rows = sorted((Row(*row) for row in await session.execute(query)), key=lambda row: row.position)
    if not rows:
        return [], after or 0
    first, events = _readable(ring, rows)
    events = _without_codes(events)
    lines = [line for position, event in enumerate(events, first) if (line := _line(event, position))]
    if first > rows[0].position:
        lines.insert(0, Line("bot", lines[0].at if lines else datetime.now(UTC), DAMAGED, None, [], rows[0].position))
    return lines, rows[-1].position + rows[-1].length


async def exchanges(
    session: AsyncSession, sender: str, after: int | None, now: datetime, remembered: timedelta
) -> tuple[Sequence[Exchange], int, bool]:
    """What was said from event ``after`` on, the ``after`` that continues, and whether more is stored already.

    Without ``after``: the last turns of the present session, unless its last word is older than ``remembered``. With
    one from beyond the end, because the conversation was deleted and begun anew: from its beginning on.
    """
    ring, table = current_ring(), conversation_event
    theirs, newest_first = table.c.conversation == conversation_of(ring, sender), table.c.position.desc()
    end_of_row = table.c.position + table.c.length
    last = select(end_of_row, table.c.session).where(theirs).order_by(newest_first).limit(1)
    end, present = (await session.execute(last)).one_or_none() or (0, 0)
    if after == end:
        return [], end, False
    of_sender = select(table).where(theirs)
    if after is None:
        query = of_sender.where(table.c.position >= present).order_by(newest_first).limit(TURNS)
    else:
        start = after if after < end else 0
        query = of_sender.where(table.c.position >= start).order_by(table.c.position).limit(TURNS)
    rows = sorted((Row(*row) for row in await session.execute(query)), key=lambda row: row.position)
    if not rows:  # nothing was said, or ``after`` lies within the last row
        return [], end, False
    first, events = _readable(ring, rows)
    following = rows[-1].position + rows[-1].length
    if after is None and events and _moment(events[-1]) < now - remembered:
        return [], end, False
    return _exchanges(events, first), following, following < end


async def note_view(session: AsyncSession, conversation: str, operator: str, now: datetime) -> Sequence[Viewing]:
    """Puts it on record that ``operator`` looks; gives the looks before this one. Raises NotFound."""
    stored, row = conversation_event.c.conversation, models.ConversationView
    if await session.scalar(select(stored).where(stored == conversation).limit(1)) is None:
        raise NotFound("no such conversation")
    query = select(row).where(row.conversation == conversation).order_by(row.id.desc()).limit(VIEWINGS)
    earlier = [Viewing(each.operator, each.viewed_at) for each in await session.scalars(query)]
    session.add(row(conversation=conversation, operator=operator, viewed_at=now))
    return earlier


async def excerpt(session: AsyncSession, conversation: str, before: int | None) -> tuple[int, Sequence[dict[str, Any]]]:
    """The events of the last rows before event ``before`` (None: of all), and the position of the first of them.

    Those behind a damaged row, if there are some; else raises TamperedError.
    """
    ring, table = current_ring(), conversation_event
    query = select(table).where(table.c.conversation == conversation)
    if before is not None:
        query = query.where(table.c.position < before)
    newest = await session.execute(query.order_by(table.c.position.desc()).limit(TURNS))
    rows = [Row(*row) for row in newest][::-1]
    if not rows:
        return 0, []
    first, events = _readable(ring, rows)
    if not events:
        raise TamperedError(f"conversation {conversation} does not open before event {first}")
    events = _without_codes(events)
    return first, events if before is None else events[: before - first]


def _without_codes(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For those who look on: a one-time code may still be good, and would bind their own account to the customer."""
    told = (event.get("metadata") for event in events)
    codes = {str(each.get("code")) for each in told if isinstance(each, dict) and _tells_a_code(each)}
    return [_without(event, codes) for event in events] if codes else events


def _tells_a_code(metadata: dict[str, Any]) -> bool:
    return metadata.get("utter_action") in _TELL_A_CODE and bool(metadata.get("code"))


def _without(value: Any, codes: Collection[str]) -> Any:
    match value:
        case str():
            for code in codes:
                value = value.replace(code, "•" * len(code))
            return value
        case dict():
            return {name: _without(each, codes) for name, each in value.items()}
        case list():
            return [_without(each, codes) for each in value]
    return value


def _moment(event: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(event.get("timestamp") or 0, UTC)


def _exchanges(events: Sequence[dict[str, Any]], first: int) -> Sequence[Exchange]:
    found: list[Exchange] = []
    answering: list[dict[str, object]] | None = None  # the messages of the last customer's exchange
    for position, event in enumerate(events, first):
        if event["event"] == "user" and event.get("text"):
            answering = []
            found.append(Exchange(event.get("message_id") or f"#{position}", position, event["text"], answering))
        elif event["event"] == "bot" and (message := _message(event)):
            metadata = event.get("metadata") or {}
            if metadata.get("by") or answering is None:
                found.append(Exchange(metadata.get("desk_id") or f"#{position}", position, None, [message]))
            else:
                answering.append(message)
    return found


def _message(event: dict[str, Any]) -> dict[str, object]:
    """What a customer sees of it; of two equal buttons the first."""
    data = event.get("data") or {}
    buttons = {each["title"]: each.get("payload") or each["title"] for each in reversed(data.get("buttons") or [])}
    shown = {"text": event.get("text"), "image": data.get("image"), "custom": data.get("custom")}
    shown["buttons"] = [{"title": title, "payload": buttons[title]} for title in reversed(buttons)]
    return {name: value for name, value in shown.items() if value}


def _readable(ring: KeyRing, rows: Sequence[Row]) -> tuple[int, list[dict[str, Any]]]:
    """The position of the first event that can be shown, and all from there: what lies before a damaged row, and in
    it, is left out."""
    events: list[dict[str, Any]] = []
    first = rows[-1].position + rows[-1].length
    for row in reversed(rows):
        try:
            opened = open_events(ring, [row], row.position)
            if row.position + len(opened) != first:
                raise TamperedError("rows of a conversation are missing")
        except TamperedError as error:
            log.error("conversation %s is not shown before event %d: %s", row.conversation, first, error)
            break
        events, first = [*opened, *events], row.position
    return first, events


def _line(event: dict[str, Any], position: int) -> Line | None:
    at = _moment(event)
    if event["event"] == "user" and event.get("text"):
        return Line("customer", at, event["text"], None, [], position)
    if event["event"] == "bot":
        data, metadata = event.get("data") or {}, event.get("metadata") or {}
        buttons = [(button["title"], button.get("payload") or "") for button in data.get("buttons") or []]
        by = metadata.get("by") or "bot"
        return Line(by, at, event.get("text") or "", data.get("image"), buttons, position)
    return None
