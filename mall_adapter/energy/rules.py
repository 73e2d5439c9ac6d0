"""The rules of energy: ``rules/energy.yml``, which operators change. Checked when they are read."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import product
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

import settings
from mall_adapter.rules import Numbers, RulesFile, numbers
from settings import SHANGHAI

LEVELS = (1, 2)
"""Whom a friend earns something for: who passed the card on, and who had passed it on to them. Nobody else, ever."""


class Earned(StrEnum):
    """What energy is earned for."""

    OPENING = "opening"
    BIND = "bind"
    ORDER = "order"


class Signal(StrEnum):
    """By which two people are found to be one, or to sit together. Only their keyed hashes are known."""

    DEVICE = "device"
    ADDRESS = "address"  # of the network
    PHONE = "phone"
    RECIPIENT_ADDRESS = "recipient_address"


Channel = Literal["web", "telegram", "wechat", "api"]
CHANNELS: tuple[Channel, ...] = ("web", "telegram", "wechat", "api")

_Points = Annotated[int, Field(ge=0, le=100_000)]
_Count = Annotated[int, Field(ge=0, le=100_000)]
_Days = Annotated[int, Field(ge=1, le=3650)]
_Minutes = Annotated[int, Field(ge=1, le=60 * 24 * 30)]


class Row(Numbers):
    """What a friend who came by ``channels`` earns for the person so many levels before them."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    event: Annotated[Earned, Field(strict=False)]
    level: Annotated[int, Field(ge=LEVELS[0], le=LEVELS[-1])]
    channels: Annotated[list[Channel], Field(min_length=1)]
    points: _Points
    held_back: Annotated[int, Field(ge=0, le=365)] | Literal["order"]

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.held_back == "order" and self.event is not Earned.ORDER:
            raise ValueError(f"{self.name}: 只有 order 才能等退货期 / only an order has a return period")
        return self


class Most(Numbers):
    a_day: _Points
    a_card_a_day: _Points


class Coupon(Numbers):
    points: Annotated[int, Field(ge=1, le=100_000)]
    title: Annotated[str, Field(min_length=1, max_length=40)]
    off_cents: Annotated[int, Field(ge=1, le=10_000_000)]
    min_spend_cents: Annotated[int, Field(ge=0, le=10_000_000)]
    days: _Days


class Often(Numbers):
    more_than: _Count
    minutes: _Minutes


class Young(Numbers):
    minutes: Annotated[int, Field(ge=0, le=60 * 24 * 30)]


class Crowd(Numbers):
    signal: Annotated[Signal, Field(strict=False)]
    more_than: Annotated[int, Field(ge=1, le=100_000)]
    days: _Days


class Returned(Numbers):
    orders: Annotated[int, Field(ge=1, le=1000)]
    percent: Annotated[int, Field(ge=1, le=100)]


class Refused(Numbers):
    more_than: _Count
    days: _Days


class Hold(Numbers):
    velocity: Often
    burst: Often
    young: Young
    same: list[Annotated[Signal, Field(strict=False)]]
    crowd: list[Crowd]
    returned: Returned
    refused: Refused


class _File(Numbers):
    results_only: list[Channel]
    earn: Annotated[list[Row], Field(min_length=1)]
    most: Most
    months: Annotated[int, Field(ge=1, le=120)]
    expiring_days: Annotated[int, Field(ge=1, le=60)]
    coupon: Coupon
    coupons_at_once: Annotated[int, Field(ge=1, le=100)]
    hold: Hold

    @field_validator("earn")
    @classmethod
    def _names_are_unique(cls, rows: list[Row]) -> list[Row]:
        if twice := [name for name, count in Counter(row.name for row in rows).items() if count > 1]:
            raise ValueError(f"{twice[0]} 写了两次 / {twice[0]} stands twice")
        return rows

    @model_validator(mode="after")
    def _decides_everything(self) -> Self:
        decided = Counter((row.event, channel, row.level) for row in self.earn for channel in row.channels)
        for case in product(Earned, CHANNELS, LEVELS):
            event, channel, level = case
            if decided[case] != 1:
                told = f"event {event}, channel {channel}, level {level}"
                raise ValueError(f"{told}：有 {decided[case]} 行，要正好一行 / {decided[case]} rows, one is wanted")
        for row in self.earn:
            if row.event is Earned.OPENING and row.points and (banned := {*row.channels} & {*self.results_only}):
                where = ", ".join(sorted(banned))
                raise ValueError(f"{row.name}：{where} 平台不许为点开付奖励 / {where} bans paying for an opening")
        return self


class EnergyRules:
    """What is earned by whom for what, what it buys, and what is looked at first."""

    def __init__(self, content: str, file: str = "") -> None:
        self.take(content, file)

    def take(self, content: str, file: str = "") -> None:
        """Decides by this from now on. Raises :class:`BrokenRules`, and goes on by the old rules then."""
        self._file = numbers(_File, content, file)
        self._rows = {(row.event, channel, row.level): row for row in self._file.earn for channel in row.channels}

    def row(self, event: Earned, channel: str, level: int) -> Row | None:
        """None for a channel that the table does not know: it earns nothing."""
        return next((row for key, row in self._rows.items() if key == (event, channel, level)), None)

    @property
    def most(self) -> Most:
        return self._file.most

    @property
    def coupon(self) -> Coupon:
        return self._file.coupon

    def worth(self, cents: int) -> int:
        """As many points as buy so much, no part of one."""
        return cents * self.coupon.points // self.coupon.off_cents

    @property
    def coupons_at_once(self) -> int:
        return self._file.coupons_at_once

    @property
    def hold(self) -> Hold:
        return self._file.hold

    @property
    def expiring(self) -> timedelta:
        return timedelta(days=self._file.expiring_days)

    def expires(self, earned_at: datetime) -> datetime:
        """Its first moment that is too late: a midnight of Asia/Shanghai."""
        earned = earned_at.astimezone(SHANGHAI).date()
        months = earned.year * 12 + earned.month - 1 + self._file.months
        first = date(months // 12, months % 12 + 1, 1)
        following = date((months + 1) // 12, (months + 1) % 12 + 1, 1)
        last = min(first + timedelta(days=earned.day), following)  # a month without a 31st ends with its last day
        return datetime.combine(last, time.min, SHANGHAI)

    @property
    def told(self) -> dict[str, int]:
        """What customers are told, by the names that texts use."""
        paid = {f"energy_{row.name}": row.points for row in self._file.earn if row.points}
        coupon = self._file.coupon
        return paid | {
            "energy_daily": self._file.most.a_day,
            "energy_months": self._file.months,
            "energy_for_coupon": coupon.points,
            "energy_coupon_cents": coupon.off_cents,
            "energy_coupon_days": coupon.days,
            "energy_coupons_at_once": self._file.coupons_at_once,
        }


TITLE = ("能量规则", "the rules of energy")
_saved = RulesFile(EnergyRules, settings.energy_file, "energy.yml", TITLE)


def energy_rules() -> EnergyRules:
    """Those of the house as they are saved now. Raises BrokenRules where there never was a good file."""
    _saved.look()
    return _saved.good()
