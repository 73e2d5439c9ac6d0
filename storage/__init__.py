"""What is kept, once: engine and transactions, tables, migrations, idempotency, events, the inbox and the outbox.

Every room that keeps something stands on it; it knows nothing of what is kept. What people have sent is in
:mod:`storage.inbox`, what waits to be sent to them in :mod:`storage.outbox`.
"""

from storage import inbox, outbox
from storage.actors import Actor, Role
from storage.engine import BUSY_SECONDS, WRITES, create_engine, if_free, insert, insert_numbered, insert_on
from storage.events import Event, EventCursor, EventRow, locked_cursor, read_events, record, settled
from storage.idempotency import Command, IdempotencyConflict, Known, forget_expired, once, recall
from storage.leases import Lease
from storage.migration import MigrationRefused, migrate
from storage.tables import Base, UtcDateTime

__all__ = [
    "BUSY_SECONDS",
    "WRITES",
    "Actor",
    "Base",
    "Command",
    "Event",
    "EventCursor",
    "EventRow",
    "IdempotencyConflict",
    "Known",
    "Lease",
    "MigrationRefused",
    "Role",
    "UtcDateTime",
    "create_engine",
    "forget_expired",
    "if_free",
    "inbox",
    "insert",
    "insert_numbered",
    "insert_on",
    "locked_cursor",
    "migrate",
    "once",
    "outbox",
    "read_events",
    "recall",
    "record",
    "settled",
]
