"""What customers ask for as owners of their data: a copy of it, and that it be forgotten."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import KeyedHash, exact_index
from storage import Base

_ASKED = text("state = 'asked'")


def export_index(token: str) -> str:
    """The keyed hash under which the token of a copy is kept."""
    return exact_index(token, "data_export.token")


class DataExport(Base):
    """A link by which a customer fetches a copy of their data: once, and for a while. Nothing of the copy is kept."""

    __tablename__ = "data_export"

    token_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"), index=True)
    asked_at: Mapped[datetime]
    good_until: Mapped[datetime] = mapped_column(index=True)
    wrong_tries: Mapped[int] = mapped_column(default=0)
    ended_at: Mapped[datetime | None]  # fetched, guessed at too often, or replaced


class ErasureState(StrEnum):
    ASKED = "asked"
    WITHDRAWN = "withdrawn"
    DONE = "done"


class DataErasure(Base):
    """A customer wants to be forgotten; from ``due_at`` on they are. They have one that is asked for and not over."""

    __tablename__ = "data_erasure"
    __table_args__ = (
        Index("uq_data_erasure_asked", "customer_id", unique=True, sqlite_where=_ASKED, postgresql_where=_ASKED),
        Index("ix_data_erasure_due", "due_at", sqlite_where=_ASKED, postgresql_where=_ASKED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"), index=True)
    state: Mapped[ErasureState]
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
