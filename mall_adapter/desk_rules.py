"""What the service desk keeps to: ``rules/desk.yml``, which operators change."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

import settings
from mall_adapter.rules import Numbers, numbers, read


class _File(Numbers):
    rating_days: Annotated[int, Field(ge=1, le=90)]
    shown_again_hours: Annotated[int, Field(ge=1, le=24 * 30)]
    talk_idle_minutes: Annotated[int, Field(ge=5, le=24 * 60)] = 30


class DeskRules:
    """For how long after its end a conversation may be rated, and is shown again to whoever comes back; and how long
    nobody may say anything before a salesperson's talk with a lead is given back."""

    def __init__(self, content: str, file: str = "") -> None:
        self.take(content, file)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Of a file (default: that of the house). Raises :class:`BrokenRules`."""
        path = path or settings.desk_file()
        return cls(read(path), path.name)

    def take(self, content: str, file: str = "") -> None:
        """Counts by these from now on. Raises :class:`BrokenRules`, and goes on by the old ones then."""
        self._file = numbers(_File, content, file)

    @property
    def rated(self) -> timedelta:
        return timedelta(days=self._file.rating_days)

    @property
    def shown_again(self) -> timedelta:
        return timedelta(hours=self._file.shown_again_hours)

    @property
    def idle(self) -> timedelta:
        return timedelta(minutes=self._file.talk_idle_minutes)
