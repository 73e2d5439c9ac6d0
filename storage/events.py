"""What happened, kept for good: an event is written in the transaction of what caused it, and never changed.

An event says nothing that names a person: who they are stands with their principal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Index
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from storage.actors import Actor, Role
from storage.adapters import adapter
from storage.tables import Base


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Each kind is a frozen dataclass of its own, named in the past tense, with fields of JSON, enums or times."""

    kind: ClassVar[str]
    subject: str  # what it happened to: "order:ORD12345"
    region: str | None = None  # code of the region that it happened in, or for


class EventRow(Base):
    """``id`` grows, but on PostgreSQL a smaller one may become visible after a larger one."""

    __tablename__ = "event"
    __table_args__ = (Index(None, "kind", "at"), Index(None, "subject", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    at: Mapped[datetime]
    role: Mapped[Role]
    principal_id: Mapped[str | None]
    channel: Mapped[str | None]
    region: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


def record(session: AsyncSession, event: Event, by: Actor, at: datetime) -> None:
    """Written with the transaction of ``session``, or not at all. ``at`` is when it happened."""
    told = adapter(type(event)).dump_python(event, mode="json", exclude={"subject", "region"}, exclude_none=True)
    session.add(
        EventRow(
            kind=event.kind,
            subject=event.subject,
            at=at,
            role=by.role,
            principal_id=by.principal_id,
            channel=by.channel,
            region=event.region,
            data=told,
        )
    )
