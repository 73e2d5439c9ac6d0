"""Invoices of orders."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mall_adapter.values import InvoiceKind, InvoiceStatus
from privacy.columns import EncryptedText
from storage import Base


class Invoice(Base):
    """The database allows one invoice of an order that was not rejected."""

    __tablename__ = "invoice"
    __table_args__ = (
        CheckConstraint("amount_cents >= 0", name="amount"),
        Index(
            "uq_invoice_live",
            "order_id",
            unique=True,
            sqlite_where=text("status != 'rejected'"),
            postgresql_where=text("status != 'rejected'"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # "FP" + digits
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    kind: Mapped[InvoiceKind]
    title: Mapped[str] = mapped_column(EncryptedText("invoice.title"))
    tax_number: Mapped[str | None] = mapped_column(EncryptedText("invoice.tax_number"))
    email: Mapped[str | None] = mapped_column(EncryptedText("invoice.email"))
    amount_cents: Mapped[int]
    status: Mapped[InvoiceStatus]
    created_at: Mapped[datetime]
