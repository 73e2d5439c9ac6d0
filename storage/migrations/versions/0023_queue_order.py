"""The rows of a queue can be walked in the order in which they are due, and what is over is found without the rest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('pending', 'leased')")
_NEW = {"expiry": ["expires_at"], "lease": ["lease_until"]}


def _index(table: str, name: str, columns: list[str]) -> None:
    op.create_index(f"ix_{table}_{name}", table, columns, sqlite_where=_OPEN, postgresql_where=_OPEN)


def upgrade() -> None:
    for table in ("inbox", "outbox"):
        op.drop_index(f"ix_{table}_due", table)
        for name, columns in {"due": ["channel", "not_before", "id"], **_NEW}.items():
            _index(table, name, columns)


def downgrade() -> None:
    for table in ("inbox", "outbox"):
        for name in ("due", *_NEW):
            op.drop_index(f"ix_{table}_{name}", table)
        _index(table, "due", ["channel", "not_before"])
