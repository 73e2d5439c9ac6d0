"""What the connectors keep of their own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import EncryptedText, KeyedHash
from storage import Base


class ChoiceList(Base):
    """The buttons of one answer, which its channel shows by tokens or by numbers."""

    __tablename__ = "choice_list"
    __table_args__ = (Index(None, "sender_index", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sender_index: Mapped[str] = mapped_column(KeyedHash())
    key_index: Mapped[str] = mapped_column(KeyedHash(), unique=True)  # of what its tokens begin with
    payloads: Mapped[str] = mapped_column(EncryptedText("choice_list.payloads"))  # JSON
    current: Mapped[bool]  # of the last answer: numbers mean its choices
    expires_at: Mapped[datetime] = mapped_column(index=True)


class KeptMedia(Base):
    """A picture, a voice message … that a customer has sent. The content is a file, sealed with a key of its own, which
    stands in ``about``."""

    __tablename__ = "media"
    __table_args__ = (Index(None, "conversation", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation: Mapped[str] = mapped_column(KeyedHash())  # privacy.conversations.conversation_of
    origin_index: Mapped[str] = mapped_column(KeyedHash(), unique=True)  # of the message: it is kept once
    kind: Mapped[str]
    about: Mapped[str] = mapped_column(EncryptedText("media.about"))  # JSON
    file: Mapped[str | None]  # none where there is nothing to keep, or it could not be had
    received_at: Mapped[datetime] = mapped_column(index=True)
