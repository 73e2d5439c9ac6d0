"""How often a proof may be wrong, and for how long it is locked then: ``rules/proofs.yml``, which operators change."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

import settings
from mall_adapter.rules import Numbers, numbers, read
from mall_adapter.values import Proof


class Limit(Numbers):
    tries: Annotated[int, Field(ge=1, le=10_000)]
    hours: Annotated[int, Field(ge=1, le=24 * 30)]


class _Limits(Numbers):
    sender: Limit
    order: Limit
    address: Limit
    sender_at_order: Limit | None = None


class _CodeLimits(Numbers):
    sender: Limit
    address: Limit


class Lock(Numbers):
    hours: Annotated[int, Field(ge=1, le=24 * 7)]
    longest_hours: Annotated[int, Field(ge=1, le=24 * 7)]
    remembered_days: Annotated[int, Field(ge=1, le=90)]

    @property
    def remembered(self) -> timedelta:
        return timedelta(days=self.remembered_days)

    def lasts(self, times_locked: int) -> timedelta:
        """How long a lock lasts after ``times_locked`` others; one always ends."""
        return timedelta(hours=min(self.hours * 2 ** min(times_locked, 16), max(self.hours, self.longest_hours)))


class _File(Numbers):
    tail: _Limits
    phone: _Limits
    code: _CodeLimits
    lock: Lock


class ProofLimits:
    """How often a proof may be wrong, and how long it is locked then."""

    def __init__(self, content: str, file: str = "") -> None:
        self.take(content, file)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Of a file (default: that of the house). Raises :class:`BrokenRules` when it could lock wrongly."""
        path = path or settings.proofs_file()
        return cls(read(path), path.name)

    def take(self, content: str, file: str = "") -> None:
        """Counts by these from now on. Raises :class:`BrokenRules`, and goes on by the old ones then."""
        self._file = numbers(_File, content, file)

    @property
    def lock(self) -> Lock:
        return self._file.lock

    def of(self, way: Proof) -> dict[str, Limit]:
        """By whose tries are counted."""
        limits = {Proof.TAIL: self._file.tail, Proof.PHONE: self._file.phone, Proof.CODE: self._file.code}[way]
        return {name: limit for name in type(limits).model_fields if (limit := getattr(limits, name))}

    @property
    def told(self) -> dict[str, int]:
        """What customers are told: after how many wrong tries of their own it is locked at the earliest, for how long
        at first."""
        own = [limit for way in Proof for name, limit in self.of(way).items() if name.startswith("sender")]
        return {"wrong_tries": min(limit.tries for limit in own), "locked_hours": self.lock.hours}
