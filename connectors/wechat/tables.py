"""What all processes of the house know together about the WeChat account and its followers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
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


class Consent(Base):
    """A person has agreed to one notice of this template."""

    __tablename__ = "wechat_consent"
    __table_args__ = (UniqueConstraint("person", "template", "given_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    person: Mapped[str] = mapped_column(KeyedHash())
    template: Mapped[str]
    given_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class KfAccount(Base):
    """An account of WeCom's customer service, and how far the house has read what is written to it."""

    __tablename__ = "wechat_kf_account"

    open_kfid: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]  # what was written before is none of the house's
    cursor: Mapped[str | None]  # where to read on; None: from the first of the last three days
    bells: Mapped[int]  # how often WeCom has said that there is something
    token: Mapped[str | None] = mapped_column(EncryptedText("wechat_kf_account.token"))  # of the last bell
    bells_read: Mapped[int]  # after how many of them all was read
    read_at: Mapped[datetime | None]


class Welcome(Base):
    """A person has come into the chat of customer service, and may be greeted once by this code."""

    __tablename__ = "wechat_kf_welcome"

    person: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    code: Mapped[str] = mapped_column(EncryptedText("wechat_kf_welcome.code"))
    until: Mapped[datetime]


class Nudge(Base):
    """A template notice has told this person that an answer waits for them; once, until they write."""

    __tablename__ = "wechat_nudge"

    person: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    at: Mapped[datetime]
