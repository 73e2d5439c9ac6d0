"""Seals every value anew, bound to the row that it stands in, and not to its column alone.

All of it or nothing, as every migration: what is interrupted is undone, and is begun again by the next start. Batches
keep little in memory. A value that does not open where it stands was damaged or moved before; it is left as it is, and
still does not open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from alembic import op

from privacy import KeyRing, TamperedError, verify_keyring
from privacy.cipher import seal, unseal

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BATCH = 1000
"""Rows."""

_SEALED: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "customer": (("id",), {name: f"customer.{name}" for name in ("name", "phone", "address")}),
    "orders": (("id",), {f"recipient_{name}": f"order.recipient_{name}" for name in ("name", "phone", "address")}),
    "ticket": (("id",), {"note": "ticket.note"}),
    "ticket_event": (("id",), {"note": "ticket_event.note"}),
    "invoice": (("id",), {name: f"invoice.{name}" for name in ("title", "tax_number", "email")}),
    "handoff": (("id",), {name: f"handoff.{name}" for name in ("sender", "operator")}),
    "outbox": (("sender_index", "position"), {name: f"outbox.{name}" for name in ("message_id", "text", "messages")}),
    "misunderstood": (("id",), {name: f"misunderstood.{name}" for name in ("text", "guesses", "intent")}),
    "complaint": (("id",), {"words": "complaint.words"}),
    "conversation_view": (("id",), {"operator": "conversation_view.operator"}),
}
"""Of each table the key, and the sealed columns with the names under which they are sealed."""

_Place = Callable[[str, Sequence[object]], bytes]

log = logging.getLogger(__name__)


def _of_column(place: str, key: Sequence[object]) -> bytes:
    return place.encode()


def _of_row(place: str, key: Sequence[object]) -> bytes:
    return "\x1e".join((place, "\x1f".join(map(str, key)))).encode()


def upgrade() -> None:
    _move(_of_column, _of_row)


def downgrade() -> None:
    _move(_of_row, _of_column)


def _move(before: _Place, after: _Place) -> None:
    connection = op.get_bind()
    ring: KeyRing | None = None
    for name, (key, places) in _SEALED.items():
        table = sa.table(name, *map(sa.column, (*key, *places)))
        names = sa.tuple_(*(table.c[part] for part in key))
        query = sa.select(table).order_by(*(table.c[part] for part in key)).limit(BATCH)
        update = sa.update(table).where(*(table.c[part] == sa.bindparam(f"key_{part}") for part in key))
        rows = connection.execute(query).mappings().all()
        while rows:
            ring = ring or verify_keyring(connection)  # where nothing is sealed yet there need not be one
            changed = [_moved(ring, row, key, places, before, after) for row in rows]
            connection.execute(update.values({column: sa.bindparam(column) for column in places}), changed)
            last = tuple(rows[-1][part] for part in key)
            rows = connection.execute(query.where(names > last)).mappings().all()


def _moved(
    ring: KeyRing, row: sa.RowMapping, key: tuple[str, ...], places: dict[str, str], before: _Place, after: _Place
) -> dict[str, object]:
    named = [row[part] for part in key]
    changed: dict[str, object] = {f"key_{part}": row[part] for part in key}
    for column, place in places.items():
        value = row[column]
        try:
            if value is not None:
                value = seal(ring, unseal(ring, bytes(value), before(place, named)), after(place, named))
        except TamperedError:
            log.warning("%s of row %s does not open, and stays as it is / 无法解密，保持原样", place, named)
        changed[column] = value
    return changed
