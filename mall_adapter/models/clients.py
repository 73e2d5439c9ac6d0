"""Programs that may call the mall's API."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from storage import Base, Role


class ApiClient(Base):
    """Of the key only a hash is kept. It is random and long, so that a plain hash tells nobody what it was."""

    __tablename__ = "api_client"

    id: Mapped[str] = mapped_column(primary_key=True)  # the part of the key by which it is found
    name: Mapped[str] = mapped_column(unique=True)
    key_hash: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(JSON)
    role: Mapped[Role]
    supplier_id: Mapped[str | None] = mapped_column(ForeignKey("supplier.id"), index=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # to the minute
