"""The mark of the demo mall."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from storage import Base


class Demo(Base):
    """The house was seeded with the demo mall once; it is not seeded again by itself."""

    __tablename__ = "demo"

    id: Mapped[int] = mapped_column(primary_key=True)
    seeded_at: Mapped[datetime]
