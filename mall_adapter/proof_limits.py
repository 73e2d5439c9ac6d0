"""How often a proof may be wrong, and for how long it is locked then: ``rules/proofs.yml``, which operators change."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import settings


class Proof(StrEnum):
    """What is named to prove that an order, or an account, is one's own."""

    TAIL = "tail"  # the last four digits of the order's phone
    PHONE = "phone"  # the whole number


class BrokenLimits(ValueError):
    """The file cannot be trusted; the message names the place. Do not start with it."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Limit(_Strict):
    tries: Annotated[int, Field(ge=1, le=10_000)]
    hours: Annotated[int, Field(ge=1, le=24 * 30)]


class _Limits(_Strict):
    sender: Limit
    order: Limit
    address: Limit
    sender_at_order: Limit | None = None


class Lock(_Strict):
    hours: Annotated[int, Field(ge=1, le=24 * 7)]
    longest_hours: Annotated[int, Field(ge=1, le=24 * 7)]
    remembered_days: Annotated[int, Field(ge=1, le=90)]

    @property
    def remembered(self) -> timedelta:
        return timedelta(days=self.remembered_days)

    def lasts(self, times_locked: int) -> timedelta:
        """How long a lock lasts after ``times_locked`` others; one always ends."""
        return timedelta(hours=min(self.hours * 2 ** min(times_locked, 16), max(self.hours, self.longest_hours)))


class ProofLimits(_Strict):
    tail: _Limits
    phone: _Limits
    lock: Lock

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """By default those of the house. Raises :class:`BrokenLimits` when the file could lock wrongly."""
        path = path or settings.proofs_file()
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            parts = (f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
            raise BrokenLimits(f"{path.name}: {'; '.join(parts)}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BrokenLimits(f"{path.name}: not YAML: {error}") from error
        except OSError as error:
            raise BrokenLimits(f"{path.name}: {error.strerror}") from error

    def of(self, way: Proof) -> dict[str, Limit]:
        """By whose tries are counted."""
        limits = self.tail if way is Proof.TAIL else self.phone
        return {name: limit for name in type(limits).model_fields if (limit := getattr(limits, name))}
