"""Points are offered: lots that no friend has brought, and offers that say how many."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0029"
branch_labels = None
depends_on = None

_OF_A_FRIEND = {"invitee": sa.String, "level": sa.Integer, "channel": sa.String, "card_id": sa.String}


def upgrade() -> None:
    with op.batch_alter_table("energy_lot") as batch:
        for column, kind in _OF_A_FRIEND.items():
            batch.alter_column(column, existing_type=kind, nullable=True)
    with op.batch_alter_table("offer") as batch:
        batch.add_column(sa.Column("points", sa.Integer, nullable=False, server_default="0"))
        batch.create_check_constraint("points", "points >= 0")


def downgrade() -> None:
    with op.batch_alter_table("offer") as batch:
        batch.drop_constraint("points", type_="check")
        batch.drop_column("points")
    op.execute(
        "UPDATE energy_account SET balance = balance - coalesce((SELECT sum(active - owed) FROM energy_lot"
        " WHERE energy_lot.person = energy_account.person AND card_id IS NULL), 0)"
    )
    op.execute("DELETE FROM energy_entry WHERE lot_id IN (SELECT id FROM energy_lot WHERE card_id IS NULL)")
    op.execute("DELETE FROM energy_lot WHERE card_id IS NULL")
    with op.batch_alter_table("energy_lot") as batch:
        for column, kind in _OF_A_FRIEND.items():
            batch.alter_column(column, existing_type=kind, nullable=False)
