"""Answers of keyed commands are kept, and for a while only; what happens is kept as events; what is to be sent lies in
one outbox, and what the desk has for customers goes through it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from privacy import KeyRing, TamperedError, verify_keyring
from privacy.cipher import seal, unseal
from privacy.columns import blind_index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BATCH = 1000
"""Rows."""

_TIME = sa.DateTime(timezone=True)
_HASH = sa.String(64)
_ENCRYPTED = sa.LargeBinary
_OPEN = sa.text("state IN ('pending', 'leased')")
_WAITING = sa.text("messages IS NULL")
_UNREADABLE = b""
"""In place of what does not open: it does not open either."""


def upgrade() -> None:
    # a key of the last release belonged to nobody, and its answer is not known: it cannot be told apart from a new one
    op.execute("DELETE FROM idempotency_record")
    with op.batch_alter_table("idempotency_record") as batch:
        batch.add_column(sa.Column("answer", _ENCRYPTED))
        batch.add_column(sa.Column("expires_at", _TIME, nullable=False))
        batch.drop_column("result_id")
    op.create_index("ix_idempotency_record_expires_at", "idempotency_record", ["expires_at"])
    _create_event()
    _set_aside("outbox", ("ix_outbox_waiting", "uq_outbox_message", "ix_outbox_handoff_id_position"))
    _create_outbox()
    _to_one_outbox()
    op.drop_table("old_outbox")


def downgrade() -> None:
    _set_aside("outbox", ("ix_outbox_due", "ix_outbox_order"), "uq_outbox_dedupe_key")
    _create_outbox_of_the_desk()
    _back_to_the_desk()
    op.drop_table("desk_update")
    op.drop_table("old_outbox")
    _drop_event()
    op.execute("DELETE FROM idempotency_record")
    op.drop_index("ix_idempotency_record_expires_at", "idempotency_record")
    with op.batch_alter_table("idempotency_record") as batch:
        batch.add_column(sa.Column("result_id", sa.String, nullable=False))
        batch.drop_column("answer")
        batch.drop_column("expires_at")


# ---- events ----


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("principal_id", sa.String),
        sa.Column("channel", sa.String),
        sa.Column("region", sa.String),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("ix_event_kind_at", "event", ["kind", "at"])
    op.create_index("ix_event_subject_id", "event", ["subject", "id"])
    # what happened is never changed; it may be erased
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'an event is never changed'; END $$"
        )
        op.execute("CREATE TRIGGER event_unchanged BEFORE UPDATE ON event EXECUTE FUNCTION refuse_change()")
    else:
        op.execute(
            "CREATE TRIGGER event_unchanged BEFORE UPDATE ON event"
            " BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END"
        )


def _drop_event() -> None:
    op.drop_table("event")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


# ---- the outbox ----


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("recipient", _ENCRYPTED, nullable=False),
        sa.Column("order_key", _HASH, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("payload", _ENCRYPTED, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("not_before", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_token", sa.String),
        sa.Column("lease_until", _TIME),
        sa.Column("error_class", sa.String),
        sa.Column("provider_id", sa.String),
        sa.Column("dedupe_key", _HASH, nullable=False),
        sa.Column("cause", sa.String),
        sa.UniqueConstraint("dedupe_key", name="uq_outbox_dedupe_key"),
    )
    for name, columns in (("due", ["channel", "not_before"]), ("order", ["order_key", "id"])):
        op.create_index(f"ix_outbox_{name}", "outbox", columns, sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_table(
        "desk_update",
        sa.Column("sender_index", _HASH, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("handoff_id", sa.Integer, sa.ForeignKey("handoff.id"), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("outbox_id", sa.Integer, sa.ForeignKey("outbox.id"), nullable=False),
        sa.Column("messages", _ENCRYPTED),
        sa.UniqueConstraint("outbox_id", name="uq_desk_update_outbox_id"),
    )
    op.create_index("ix_desk_update_handoff_id_position", "desk_update", ["handoff_id", "position"])


def _create_outbox_of_the_desk() -> None:
    op.create_table(
        "outbox",
        sa.Column("sender_index", _HASH, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("handoff_id", sa.Integer, sa.ForeignKey("handoff.id"), nullable=False),
        sa.Column("message_index", _HASH, nullable=False),
        sa.Column("message_id", _ENCRYPTED, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("text", _ENCRYPTED, nullable=False),
        sa.Column("written_at", _TIME, nullable=False),
        sa.Column("messages", _ENCRYPTED),
    )
    op.create_index("uq_outbox_message", "outbox", ["sender_index", "message_index"], unique=True)
    waiting = ["sender_index", "position"]
    op.create_index("ix_outbox_waiting", "outbox", waiting, sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.create_index("ix_outbox_handoff_id_position", "outbox", ["handoff_id", "position"])


def _set_aside(table: str, indexes: Sequence[str], unique: str | None = None) -> None:
    """Under another name, so that a new table can have this one; PostgreSQL wants names of indexes only once."""
    for index in indexes:
        op.drop_index(index, table)
    op.rename_table(table, f"old_{table}")
    if op.get_bind().dialect.name == "postgresql":
        for name in (f"pk_{table}", *([unique] if unique else [])):
            op.execute(f"ALTER TABLE old_{table} RENAME CONSTRAINT {name} TO old_{name}")


# ---- what the desk has for customers ----


def _to_one_outbox() -> None:
    connection = op.get_bind()
    old, outbox, shown, handoff = (_table(name) for name in ("old_outbox", "outbox", "desk_update", "handoff"))
    senders: dict[int, str | None] = {}
    number = 0
    for ring, rows in _batches(old, ["sender_index", "position"]):
        for row in rows:
            number += 1
            key = (row["sender_index"], row["position"])
            if (handoff_id := row["handoff_id"]) not in senders:
                sealed = connection.scalar(sa.select(handoff.c.sender).where(handoff.c.id == handoff_id))
                senders[handoff_id] = _open(ring, sealed, "handoff.sender", (handoff_id,))
            sender = senders[handoff_id]
            message_id, text, messages = (
                _open(ring, row[column], f"outbox.{column}", key) for column in ("message_id", "text", "messages")
            )
            payload = {"position": key[1], "event": row["event"], "message_id": message_id, "text": text}
            told = None if message_id is None or text is None else json.dumps(payload, ensure_ascii=False)
            recorded = row["messages"] is not None
            values = {
                "id": number,
                "channel": "desk",
                "recipient": _seal(ring, sender, "outbox.recipient", (number,)),
                "order_key": _hash(sender or key[0], "outbox.order_key"),
                "kind": row["event"],
                "payload": _seal(ring, told, "outbox.payload", (number,)),
                "created_at": row["written_at"],
                "not_before": row["written_at"],
                "state": "sent" if recorded else "pending",
                "attempts": int(recorded),
                "dedupe_key": _hash(f"desk {sender or key[0]} {message_id or row['message_index']}", "outbox.dedupe"),
                "cause": f"handoff:{handoff_id}",
            }
            connection.execute(sa.insert(outbox).values(values))
            values = {"sender_index": key[0], "position": key[1], "handoff_id": handoff_id, "event": row["event"]}
            values |= {"outbox_id": number}
            if recorded:
                values["messages"] = _seal(ring, messages, "desk_update.messages", key)
            connection.execute(sa.insert(shown).values(values))
    if number and connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence("outbox", "id"), number)))


def _back_to_the_desk() -> None:
    connection = op.get_bind()
    sent, old, shown = (_table(name) for name in ("old_outbox", "outbox", "desk_update"))
    joined = sa.join(shown, sent, sent.c.id == shown.c.outbox_id)
    query = sa.select(shown, sent.c.payload, sent.c.created_at, sent.c.dedupe_key).select_from(joined).subquery()
    for ring, rows in _batches(query, ["sender_index", "position"]):
        for row in rows:
            key = (row["sender_index"], row["position"])
            told = _open(ring, row["payload"], "outbox.payload", (row["outbox_id"],))
            payload: dict[str, Any] = {} if told is None else json.loads(told)
            message_id, text = payload.get("message_id"), payload.get("text")
            values = {column: row[column] for column in ("sender_index", "position", "handoff_id", "event")}
            values |= {
                "message_index": _hash(message_id, "outbox.message") if message_id else row["dedupe_key"],
                "message_id": _seal(ring, message_id, "outbox.message_id", key),
                "text": _seal(ring, text, "outbox.text", key),
                "written_at": row["created_at"],
            }
            if row["messages"] is not None:
                messages = _open(ring, row["messages"], "desk_update.messages", key)
                values["messages"] = _seal(ring, messages, "outbox.messages", key)
            connection.execute(sa.insert(old).values(values))


def _batches(table: Any, key: Sequence[str]) -> Iterator[tuple[KeyRing, Sequence[sa.RowMapping]]]:
    """In the order of the key, by which each batch goes on; with the ring, which there need not be while nothing is
    sealed."""
    connection = op.get_bind()
    columns = [table.c[name] for name in key]
    query = sa.select(table).order_by(*columns).limit(BATCH)
    rows = connection.execute(query).mappings().all()
    if rows:
        ring = verify_keyring(connection)
    while rows:
        yield ring, rows
        last = tuple(rows[-1][name] for name in key)
        rows = connection.execute(query.where(sa.tuple_(*columns) > last)).mappings().all()


def _table(name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=op.get_bind(), resolve_fks=False)


def _open(ring: KeyRing, sealed: Any, place: str, key: Sequence[object]) -> str | None:
    """None for what does not open, or is not there."""
    try:
        return None if sealed is None else unseal(ring, bytes(sealed), _place(place, key)).decode()
    except TamperedError:
        return None


def _seal(ring: KeyRing, value: str | None, place: str, key: Sequence[object]) -> bytes:
    return _UNREADABLE if value is None else seal(ring, value.encode(), _place(place, key))


def _place(place: str, key: Sequence[object]) -> bytes:
    return "\x1e".join((place, "\x1f".join(map(str, key)))).encode()


def _hash(value: str, purpose: str) -> str:
    return blind_index(hashlib.sha256(value.encode()).hexdigest(), purpose)
