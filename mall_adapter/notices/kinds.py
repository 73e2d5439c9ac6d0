"""Which notices there are and what holds for each: ``kinds.yml``, checked when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

import settings
from settings import SHANGHAI

KindName = Literal[
    "ticket_moved",
    "parcel_delayed",
    "parcel_delivered",
    "presale_moved",
    "back_in_stock",
    "coupon_expiring",
    "lead_warm",
    "energy_arrived",
    "energy_expiring",
    "broadcast",
    "offer",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Quiet(_Part):
    """Hours of Asia/Shanghai, which may go past midnight."""

    start: Annotated[time, Field(alias="from")]
    until: time

    def ends(self, now: datetime) -> datetime | None:
        """When it is over (aware); None where it is not quiet."""
        here = now.astimezone(SHANGHAI)
        at, past_midnight = here.time(), self.start > self.until
        quiet = (at >= self.start or at < self.until) if past_midnight else self.start <= at < self.until
        if not quiet:
            return None
        tomorrow = past_midnight and at >= self.start
        return datetime.combine(here.date() + timedelta(days=tomorrow), self.until, SHANGHAI)

    def next_morning(self, now: datetime) -> datetime:
        """When the next day of Asia/Shanghai begins to be loud."""
        tomorrow = now.astimezone(SHANGHAI).date() + timedelta(days=1)
        begun = datetime.combine(tomorrow, time.min, SHANGHAI)
        return self.ends(begun) or begun


class Kind(_Part):
    marketing: bool
    again: bool
    hours: Annotated[int, Field(ge=1, le=24 * 14)]
    newest: bool
    by: str | None = None

    @property
    def worth(self) -> timedelta:
        return timedelta(hours=self.hours)


def _all(kinds: Mapping[KindName, Kind]) -> Mapping[KindName, Kind]:
    if missing := set(get_args(KindName)) - kinds.keys():
        raise ValueError(f"nothing is said of: {', '.join(sorted(missing))}")
    return kinds


class Kinds(_Part):
    quiet: Quiet
    marketing_a_day: Annotated[int, Field(ge=0, le=20)]
    marketing_unasked: bool
    per_second: Annotated[int, Field(ge=1, le=1000)]
    coupon_days: Annotated[int, Field(ge=1, le=30)]
    footer: str
    gift: str
    gift_on_anything: str
    kinds: Annotated[Mapping[KindName, Kind], AfterValidator(_all)]

    def repeatable(self) -> frozenset[str]:
        """Kinds of which a second one does no harm."""
        return frozenset(name for name, kind in self.kinds.items() if kind.again)


def read(file: Path) -> Kinds:
    """Raises OSError, yaml.YAMLError, or pydantic's ValidationError, which names the place."""
    return Kinds.model_validate(yaml.safe_load(file.read_text("utf-8")))


KINDS = read(settings.notice_kinds_file())
