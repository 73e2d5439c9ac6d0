"""The conversation store: every turn is one sealed row, and a fault is an error.

``endpoints.yml``: ``tracker_store: {type: bot.components.tracker_store.EncryptedTrackerStore}``. The database is
``settings.database_url("sync")``; its tables come from ``python -m mall_adapter migrate``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rasa.core.brokers.broker import EventBroker
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import SessionStarted
from rasa.shared.core.trackers import DialogueStateTracker
from sqlalchemy import bindparam, create_engine, event, insert, select
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import QueuePool

import settings
from privacy import TamperedError, current_ring, verify_keyring
from privacy.conversations import Row, conversation_of, open_events, open_sender, seal_events
from privacy.tables import conversation_event

logger = logging.getLogger(__name__)

TIMEOUT_S = 5
"""Longest wait for the database: for a connection, for a lock, for an answer."""

_all_rows = (
    select(conversation_event)
    .where(conversation_event.c.conversation == bindparam("conversation"))
    .order_by(conversation_event.c.position)
)
_present_session = (
    select(conversation_event.c.session)
    .where(conversation_event.c.conversation == bindparam("conversation"))
    .order_by(conversation_event.c.position.desc())
    .limit(1)
    .scalar_subquery()
)
_session_rows = _all_rows.where(conversation_event.c.position >= _present_session)
_first_rows = select(conversation_event).where(conversation_event.c.position == 0)


class ConversationConflict(Exception):
    """Somebody else has saved a turn of this conversation since this tracker was read; nothing was saved."""


@dataclass(frozen=True)
class _Stored:
    """What the database holds of the conversation of a tracker, as of its reading or last saving."""

    in_tracker: int = 0  # events of the tracker that are stored; the later ones are new
    position: int = 0  # events of the whole conversation: where the next row goes
    session: int = 0  # position of the row in which the present session began


class EncryptedTrackerStore(TrackerStore):
    """Keeps trackers in ``privacy.tables.conversation_event``. Only appends: stored events never change.

    A tracker carries the position up to which it is stored. Its new events go exactly there, where the primary key
    admits one row, so of two writers who read the same state one gets :class:`ConversationConflict`.
    """

    def __init__(self, domain: Domain | None, event_broker: EventBroker | None = None, **kwargs: Any) -> None:
        """Ends the process when the database or the key ring cannot be used."""
        super().__init__(domain, event_broker)
        try:
            self._engine = _create_engine(settings.database_url("sync"))
            with self._engine.begin() as connection:
                verify_keyring(connection)
        except Exception as error:  # every one: after some, Rasa would go on with an InMemoryTrackerStore
            raise SystemExit(f"Conversations cannot be stored, so the bot does not start. {error}") from error

    async def save(self, tracker: DialogueStateTracker) -> None:
        """Appends the tracker's new events in one row and publishes them; raises :class:`ConversationConflict`."""
        stored = getattr(tracker, "stored", _Stored())
        events = list(islice(tracker.events, stored.in_tracker, None))
        if not events:
            return
        starts_session = any(isinstance(new, SessionStarted) for new in events)
        session = stored.position if starts_session else stored.session
        data = [new.as_dict() for new in events]
        row = seal_events(current_ring(), tracker.sender_id, stored.position, session, data)
        try:
            await asyncio.to_thread(self._insert, row)
        except IntegrityError:
            raise ConversationConflict("another turn of this conversation was saved in between") from None
        tracker.stored = _Stored(stored.in_tracker + len(events), stored.position + len(events), session)
        if self.event_broker is not None:
            await self._stream_new_events(self.event_broker, events, tracker.sender_id)

    async def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
        """The present session: everything since the last ``session_started``.

        Of one that was tampered with nothing is taken, and a new session begins behind it: what somebody did to a row
        must not lock a customer out for good.
        """
        rows = await self._rows(_session_rows, sender_id)
        try:
            events = open_events(current_ring(), rows, first=rows[-1].session) if rows else []
        except TamperedError as error:
            logger.error("conversation %s: %s; a new session begins", rows[-1].conversation, error)
            events = []
        starts = [index for index, data in enumerate(events) if data["event"] == SessionStarted.type_name]
        return self._tracker(sender_id, rows, events[starts[-1] :] if starts else events)

    async def retrieve_full_tracker(self, conversation_id: str) -> DialogueStateTracker | None:
        """All sessions."""
        rows = await self._rows(_all_rows, conversation_id)
        return self._tracker(conversation_id, rows, open_events(current_ring(), rows, first=0))

    async def keys(self) -> Iterable[str]:
        """Every sender who has a conversation."""
        rows = await asyncio.to_thread(self._select, _first_rows, {})
        return [open_sender(current_ring(), row) for row in rows]

    async def _rows(self, statement: Any, sender: str) -> list[Row]:
        conversation = conversation_of(current_ring(), sender)
        return await asyncio.to_thread(self._select, statement, {"conversation": conversation})

    def _tracker(self, sender: str, rows: list[Row], events: list[dict[str, Any]]) -> DialogueStateTracker | None:
        if not rows:
            return None
        tracker = DialogueStateTracker.from_dict(sender, events, self.domain.slots)
        last = rows[-1]
        tracker.stored = _Stored(len(tracker.events), last.position + last.length, last.session)
        return tracker

    def _select(self, statement: Any, parameters: dict[str, str]) -> list[Row]:
        with self._engine.connect() as connection:
            return [Row(*row) for row in connection.execute(statement, parameters)]

    def _insert(self, row: Row) -> None:
        with self._engine.connect() as connection:
            connection.execute(insert(conversation_event), vars(row))


def _create_engine(url: str) -> Engine:
    """Each use of it is one statement, hence autocommit; used from several threads, hence a queue of connections."""
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "hide_parameters": True, "poolclass": QueuePool}
    if make_url(url).get_backend_name() == "postgresql":
        limits = {"connect_timeout": TIMEOUT_S, "options": f"-c statement_timeout={TIMEOUT_S * 1000}"}
        return create_engine(
            url, future=True, pool_timeout=TIMEOUT_S, pool_pre_ping=True, connect_args=limits, **options
        )
    limits = {"timeout": TIMEOUT_S, "check_same_thread": False}
    engine = create_engine(url, future=True, pool_timeout=TIMEOUT_S, connect_args=limits, **options)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # after a crash of the process nothing is missing; after a power cut the last turns may be
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")

    return engine
