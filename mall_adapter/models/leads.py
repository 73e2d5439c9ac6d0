"""Leads: people who opened a salesperson's card, how warm they are, what they asked about (never in which words), and
who talks with them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import EncryptedText, KeyedHash
from storage import Base


class LeadStage(StrEnum):
    AWARENESS = "awareness"
    INTEREST = "interest"
    CONSIDERATION = "consideration"
    INTENT = "intent"
    CONVERTED = "converted"
    LOST = "lost"


class TalkEnding(StrEnum):
    GIVEN_BACK = "given_back"  # by whoever talked
    TAKEN = "taken"  # by the desk
    TIMED_OUT = "timed_out"  # nobody said anything for a while
    CUT_OFF = "cut_off"  # whoever talked may not any more


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


class LeadTalk(Base):
    """A hand-off that somebody who sells has claimed, and talks in from a chat of their own; one at a time there."""

    __tablename__ = "lead_talk"
    __table_args__ = (
        Index(
            "uq_lead_talk_live",
            "sender_index",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_lead_talk_untold",
            "id",
            sqlite_where=text("told_at IS NULL"),
            postgresql_where=text("told_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    handoff_id: Mapped[int] = mapped_column(ForeignKey("handoff.id"), unique=True)
    lead_id: Mapped[int]
    person: Mapped[str]  # as of the lead
    principal_id: Mapped[str] = mapped_column(ForeignKey("principal.id"))  # who talks
    sender: Mapped[str] = mapped_column(EncryptedText("lead_talk.sender"))  # from where
    sender_index: Mapped[str] = mapped_column(KeyedHash())
    position: Mapped[int]  # events of the lead's conversation that have been passed on
    heard_at: Mapped[datetime]  # when either of them said something last
    ended_at: Mapped[datetime | None]
    ending: Mapped[TalkEnding | None]
    told_at: Mapped[datetime | None]  # when whoever talked was told that it is over
