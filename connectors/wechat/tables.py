"""What all processes of the house know together about the WeChat account and its followers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from privacy.columns import EncryptedText, KeyedHash
from storage import Base


class AccessToken(Base):
    __tablename__ = "wechat_access_token"

    app: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)  # of the account's id
    version: Mapped[int]  # grows with each renewal
    token: Mapped[str | None] = mapped_column(EncryptedText("wechat_access_token.token"))
    expires_at: Mapped[datetime | None]
    forced_at: Mapped[datetime | None]  # when WeChat was last made to give another one
    lease_until: Mapped[datetime | None]  # somebody is renewing it


class Refusal(Base):
    """A call that this account is not allowed, learned from its answer."""

    __tablename__ = "wechat_refusal"

    app: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    call: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]  # then it is tried again: accounts are verified, and upgraded


class Grant(Base):
    """How many messages a person may still be sent, and until when."""

    __tablename__ = "wechat_grant"

    person: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]  # of what gave it, by WeChat's clock
    until: Mapped[datetime]
    left: Mapped[int]


class Nudge(Base):
    """A template notice has told this person that an answer waits for them; once, until they write."""

    __tablename__ = "wechat_nudge"

    person: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    at: Mapped[datetime]
