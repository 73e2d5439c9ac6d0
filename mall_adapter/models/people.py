"""Customers, and the channel accounts bound to them."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import ForeignKey, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from privacy import EncryptedText, KeyedHash, blind_index
from storage import Base


def sender_index(sender: str) -> str:
    """The keyed hash under which a sender (``"<channel>:<external id>"``) is stored."""
    # hashed first because a channel's ids differ by case, which a blind index forgives
    return blind_index(hashlib.sha256(sender.encode()).hexdigest(), "channel_account.sender")


def phone_index(phone: str) -> str:
    """The keyed hash by which a customer is found from a full phone number (digits only)."""
    return blind_index(phone, "customer.phone")


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(EncryptedText("customer.name"))
    phone: Mapped[str] = mapped_column(EncryptedText("customer.phone"))
    phone_index: Mapped[str] = mapped_column(KeyedHash(), unique=True)
    address: Mapped[str] = mapped_column(EncryptedText("customer.address"))
    region: Mapped[str]  # 华东, 华南, …
    registered_at: Mapped[datetime]
    demo: Mapped[bool] = mapped_column(default=False, server_default=false())  # invented, see demo_mark.py


class ChannelAccount(Base):
    """One account of a channel, bound to a customer; several accounts may belong to the same customer."""

    __tablename__ = "channel_account"

    sender_index: Mapped[str] = mapped_column(KeyedHash(), primary_key=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customer.id"))
    role: Mapped[str] = mapped_column(default="customer")  # customer | sales | supplier | operator
    bound_at: Mapped[datetime]

    customer: Mapped[Customer] = relationship()
