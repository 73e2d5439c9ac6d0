"""Leads: how warm somebody is who opened a salesperson's card, and what they asked about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "lead",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("principal_id", sa.String, sa.ForeignKey("principal.id"), nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("told", sa.String(32)),
        sa.UniqueConstraint("person", "principal_id", name="uq_lead_person_principal_id"),
    )
    op.create_index("ix_lead_principal_id", "lead", ["principal_id"])
    op.create_index("ix_lead_stage_last_at", "lead", ["stage", "last_at"])
    op.create_table(
        "lead_question",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("topic", sa.String, nullable=False),
        sa.Column("product_id", sa.String),
        sa.Column("at", _TIME, nullable=False),
    )
    op.create_index("ix_lead_question_person_at", "lead_question", ["person", "at"])
    op.create_table(
        "lead_reading",
        sa.Column("conversation", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("lead_reading")
    op.drop_table("lead_question")
    op.drop_table("lead")
