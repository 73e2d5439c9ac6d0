"""Energy: lots and the movements of their points, and who came by whose card."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_OPEN = sa.text("held > 0 OR pending > 0 OR active > 0")


def upgrade() -> None:
    op.create_table(
        "energy_account",
        sa.Column("person", sa.String, primary_key=True),
        sa.Column("balance", sa.Integer, nullable=False),
    )
    op.create_table(
        "energy_lot",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("invitee", sa.String, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("card_id", sa.String, nullable=False),
        sa.Column("forward_id", sa.Integer),
        sa.Column("conversion_id", sa.Integer),
        sa.Column("order_id", sa.String),
        sa.Column("cause", sa.String, nullable=False, unique=True),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("earned_at", _TIME, nullable=False),
        sa.Column("frozen_until", _TIME),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("held", sa.Integer, nullable=False),
        sa.Column("pending", sa.Integer, nullable=False),
        sa.Column("active", sa.Integer, nullable=False),
        sa.Column("owed", sa.Integer, nullable=False),
        sa.CheckConstraint("points > 0", name="ck_energy_lot_points"),
        sa.CheckConstraint("held >= 0 AND pending >= 0 AND active >= 0 AND owed >= 0", name="ck_energy_lot_places"),
        sa.CheckConstraint("held + pending + active + owed <= points", name="ck_energy_lot_whole"),
    )
    for column in ("invitee", "card_id", "forward_id", "conversion_id"):
        op.create_index(f"ix_energy_lot_{column}", "energy_lot", [column])
    op.create_index("ix_energy_lot_person_earned_at", "energy_lot", ["person", "earned_at"])
    op.create_index("ix_energy_lot_open", "energy_lot", ["expires_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_table(
        "energy_entry",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("lot_id", sa.Integer, sa.ForeignKey("energy_lot.id"), nullable=False),
        sa.Column("source", sa.String(32)),
        sa.Column("target", sa.String(32), nullable=False),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("cause", sa.String, nullable=False, unique=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("coupon_id", sa.String, sa.ForeignKey("coupon.id")),
        sa.Column("principal_id", sa.String),
        sa.CheckConstraint("points > 0", name="ck_energy_entry_points"),
    )
    op.create_index("ix_energy_entry_lot_id", "energy_entry", ["lot_id"])
    op.create_index("ix_energy_entry_coupon_id", "energy_entry", ["coupon_id"])
    op.create_table(
        "energy_card",
        sa.Column("card_id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
    )
    op.create_index("ix_energy_card_owner", "energy_card", ["owner"])
    op.create_table(
        "energy_referral",
        sa.Column("forward_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("card_id", sa.String, nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("sharer", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.UniqueConstraint("card_id", "person", name="uq_energy_referral_card_id_person"),
    )
    op.create_index("ix_energy_referral_person", "energy_referral", ["person"])
    op.create_index("ix_energy_referral_sharer", "energy_referral", ["sharer"])
    op.create_table(
        "energy_signal",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.UniqueConstraint("person", "kind", "hash", name="uq_energy_signal_person_kind_hash"),
    )
    op.create_index("ix_energy_signal_kind_hash_at", "energy_signal", ["kind", "hash", "at"])


def downgrade() -> None:
    for table in ("signal", "referral", "card", "entry", "lot", "account"):
        op.drop_table(f"energy_{table}")
