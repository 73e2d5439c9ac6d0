"""The service desk: who waits for a person, what operators do, what trainers and operators look at."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column

from mall_adapter.handoff import ComplaintKind, DeskEvent, HandoffReason, HandoffStatus
from privacy.columns import EncryptedText, KeyedHash
from storage import Base


class Handoff(Base):
    """A customer's wish for a person. The database allows one live hand-off for a sender."""

    __tablename__ = "handoff"
    __table_args__ = (
        CheckConstraint("stars BETWEEN 1 AND 5", name="stars"),
        Index(
            "uq_handoff_live",
            "sender_index",
            unique=True,
            sqlite_where=text("status IN ('waiting', 'claimed')"),
            postgresql_where=text("status IN ('waiting', 'claimed')"),
        ),
        Index(None, "sender_index", "id"),
        Index(None, "status", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)  # its order is that of the queue
    sender: Mapped[str] = mapped_column(EncryptedText("handoff.sender"))
    sender_index: Mapped[str] = mapped_column(KeyedHash())
    reason: Mapped[HandoffReason]
    status: Mapped[HandoffStatus]
    requested_at: Mapped[datetime]
    operator: Mapped[str | None] = mapped_column(EncryptedText("handoff.operator"))
    claimed_at: Mapped[datetime | None]
    first_answer_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    resolved: Mapped[bool | None]
    stars: Mapped[int | None]
    in_chat: Mapped[bool] = mapped_column(default=False, server_default=false())  # claimed from a chat (LeadTalk)
    read_by_customer: Mapped[int | None]  # events of the conversation that have been before their eyes
    read_by_person: Mapped[int | None]  # the same of whoever has claimed it


class DeskUpdate(Base):
    """What the desk has for a customer; ``messages`` are what the bot made of it, once it has recorded it.

    On its way to the bot it is the outbox's message ``outbox_id``.
    """

    __tablename__ = "desk_update"
    __table_args__ = (Index(None, "handoff_id", "position"),)

    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 1, 2, … for each sender
    handoff_id: Mapped[int] = mapped_column(ForeignKey("handoff.id"))
    event: Mapped[DeskEvent]
    outbox_id: Mapped[int] = mapped_column(ForeignKey("outbox.id"), unique=True)
    messages: Mapped[str | None] = mapped_column(EncryptedText("desk_update.messages"))  # JSON


class Misunderstood(Base):
    """The trainers' queue. What the message may have meant is sealed too: it says what the customer spoke about."""

    __tablename__ = "misunderstood"
    __table_args__ = (
        Index(
            "ix_misunderstood_open",
            "id",
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    message_index: Mapped[str] = mapped_column(KeyedHash(), unique=True)  # keyed hash of sender and message id
    conversation: Mapped[str | None] = mapped_column(KeyedHash(), index=True)  # None for those from before it was kept
    text: Mapped[str] = mapped_column(EncryptedText("misunderstood.text"))
    guesses: Mapped[str] = mapped_column(EncryptedText("misunderstood.guesses"))  # JSON: [[intent, confidence], …]
    noted_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    intent: Mapped[str | None] = mapped_column(EncryptedText("misunderstood.intent"))


class Complaint(Base):
    """What somebody complains of. The database allows one open complaint of a kind in a conversation."""

    __tablename__ = "complaint"
    __table_args__ = (
        Index(
            "uq_complaint_open",
            "conversation",
            "kind",
            unique=True,
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
        Index(
            "ix_complaint_open",
            "id",
            sqlite_where=text("settled_at IS NULL"),
            postgresql_where=text("settled_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation: Mapped[str] = mapped_column(KeyedHash(), index=True)
    kind: Mapped[ComplaintKind]
    words: Mapped[str] = mapped_column(EncryptedText("complaint.words"))
    message_index: Mapped[str] = mapped_column(KeyedHash())  # keyed hash of the last message that was noted
    order_id: Mapped[str | None]
    enquiry: Mapped[bool]  # the courier is to be asked
    noted_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class ConversationView(Base):
    """An operator looked into a conversation, whether or not they could read it. Written before they are shown it."""

    __tablename__ = "conversation_view"
    __table_args__ = (Index(None, "conversation", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation: Mapped[str] = mapped_column(KeyedHash())
    operator: Mapped[str] = mapped_column(EncryptedText("conversation_view.operator"))
    viewed_at: Mapped[datetime]
