"""Points are offered: lots that no friend has brought, and offers that say how many. Customers fetch a copy of their
data, and are forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_ASKED = sa.text("state = 'asked'")
_OF_A_FRIEND = {"invitee": sa.String, "level": sa.Integer, "channel": sa.String, "card_id": sa.String}


def upgrade() -> None:
    with op.batch_alter_table("energy_lot") as batch:
        for column, kind in _OF_A_FRIEND.items():
            batch.alter_column(column, existing_type=kind, nullable=True)
    with op.batch_alter_table("offer") as batch:
        batch.add_column(sa.Column("points", sa.Integer, nullable=False, server_default="0"))
        batch.create_check_constraint("points", "points >= 0")
    op.create_table(
        "data_export",
        sa.Column("token_index", sa.String(64), primary_key=True),
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("good_until", _TIME, nullable=False),
        sa.Column("wrong_tries", sa.Integer, nullable=False),
        sa.Column("ended_at", _TIME),
    )
    op.create_index("ix_data_export_customer_id", "data_export", ["customer_id"])
    op.create_index("ix_data_export_good_until", "data_export", ["good_until"])
    op.create_table(
        "data_erasure",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.String, sa.ForeignKey("customer.id"), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
    )
    op.create_index("ix_data_erasure_customer_id", "data_erasure", ["customer_id"])
    op.create_index(
        "uq_data_erasure_asked",
        "data_erasure",
        ["customer_id"],
        unique=True,
        sqlite_where=_ASKED,
        postgresql_where=_ASKED,
    )
    op.create_index("ix_data_erasure_due", "data_erasure", ["due_at"], sqlite_where=_ASKED, postgresql_where=_ASKED)


def downgrade() -> None:
    op.drop_table("data_erasure")
    op.drop_table("data_export")
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
