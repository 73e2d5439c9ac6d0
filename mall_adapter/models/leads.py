"""Leads: people who opened a salesperson's card, how warm they are, and what they asked about; never in which words."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import KeyedHash
from storage import Base


class LeadStage(StrEnum):
    AWARENESS = "awareness"
    INTEREST = "interest"
    CONSIDERATION = "consideration"
    INTENT = "intent"
    CONVERTED = "converted"
    LOST = "lost"


class Lead(Base):
    """One person, as they are to one salesperson. A person is named as among those who hold cards."""

    __tablename__ = "lead"
    __table_args__ = (UniqueConstraint("person", "principal_id"), Index(None, "stage", "last_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    person: Mapped[str]
    principal_id: Mapped[str] = mapped_column(ForeignKey("principal.id"), index=True)
    stage: Mapped[LeadStage]
    since: Mapped[datetime]  # in this stage
    last_at: Mapped[datetime]  # when they last opened, asked or bought something
    told: Mapped[LeadStage | None]  # the furthest stage of which the salesperson was told


class LeadQuestion(Base):
    """A message of a lead that asked about something that leads ask about."""

    __tablename__ = "lead_question"
    __table_args__ = (Index(None, "person", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    person: Mapped[str]
    topic: Mapped[str]
    product_id: Mapped[str | None]
    at: Mapped[datetime]


class LeadReading(Base):
    """How far a lead's conversation has been read."""

    __tablename__ = "lead_reading"

    conversation: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    position: Mapped[int]
