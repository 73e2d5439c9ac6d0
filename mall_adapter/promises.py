"""What the shop promises about time: ``rules/promises.yml``, which operators change."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

import settings
from mall_adapter.rules import Numbers, RulesFile, numbers

_Days = Annotated[int, Field(ge=0, le=365)]
_Hours = Annotated[int, Field(ge=1, le=24 * 365)]


class _File(Numbers):
    ship_hours: _Hours
    custom_ship_days: _Days
    arrive_days: _Days
    pay_hours: _Hours
    price_days: _Days


class Promises:
    """How soon goods leave and arrive, how long a payment is waited for, how long a price holds."""

    def __init__(self, content: str, file: str = "") -> None:
        self.take(content, file)

    def take(self, content: str, file: str = "") -> None:
        """Promises this from now on. Raises :class:`BrokenRules`, and goes on by the old ones then."""
        self._file = numbers(_File, content, file)

    @property
    def told(self) -> dict[str, int]:
        """What customers are told, by the names of the file."""
        return self._file.model_dump()

    @property
    def price_days(self) -> int:
        """After the payment, in which a lower price is made good."""
        return self._file.price_days

    @property
    def arrives_within(self) -> timedelta:
        return timedelta(days=self._file.arrive_days)

    @property
    def payment_within(self) -> timedelta:
        return timedelta(hours=self._file.pay_hours)

    def ships_within(self, presale_days: int, custom_made: bool, made_days: int) -> timedelta:
        """How soon after the payment goods leave."""
        if presale_days:
            return timedelta(days=presale_days)
        if custom_made:
            return timedelta(days=made_days or self._file.custom_ship_days)
        return timedelta(hours=self._file.ship_hours)


_saved = RulesFile(Promises, settings.promises_file, "promises.yml", ("时效承诺", "the promises"))


def promises() -> Promises:
    """Those of the house as they are saved now. Raises BrokenRules where there never was a good file."""
    _saved.look()
    return _saved.good()
