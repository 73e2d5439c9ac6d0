"""Which customers and suppliers are the demo mall's, and that a house was seeded with it once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MARKED = ("customer", "supplier")


def upgrade() -> None:
    op.create_table(
        "demo",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("seeded_at", sa.DateTime(timezone=True), nullable=False),
    )
    for table in MARKED:
        op.add_column(table, sa.Column("demo", sa.Boolean, nullable=False, server_default=sa.false()))
    mark_what_was_seeded()


def mark_what_was_seeded() -> None:
    """A house that has the demo from before: its stories are there, and with them the numbers that the demo gives."""
    told = "SELECT 1 FROM orders WHERE id = 'ORD12345' AND customer_id = 'C900001'"
    if op.get_bind().execute(sa.text(told)).first():
        op.execute(
            "UPDATE customer SET demo = true WHERE length(id) = 7"
            " AND (id BETWEEN 'C000001' AND 'C001998' OR id IN ('C900001', 'C900002'))"
        )
        op.execute("UPDATE supplier SET demo = true WHERE length(id) = 3 AND id BETWEEN 'S01' AND 'S12'")
        op.execute("INSERT INTO demo (id, seeded_at) VALUES (1, CURRENT_TIMESTAMP)")


def downgrade() -> None:
    for table in MARKED:
        with op.batch_alter_table(table) as batch:
            batch.drop_column("demo")
    op.drop_table("demo")
