"""What the shop promises about time: ``rules/promises.yml``, which operators change."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import settings

_Days = Annotated[int, Field(ge=0, le=365)]
_Hours = Annotated[int, Field(ge=1, le=24 * 365)]


class BrokenPromises(ValueError):
    """The file cannot be trusted; the message names the place. Do not start with it."""


class Promises(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    ship_hours: _Hours
    custom_ship_days: _Days
    arrive_days: _Days
    pay_hours: _Hours
    price_days: _Days

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """By default those of the house. Raises :class:`BrokenPromises`."""
        path = path or settings.promises_file()
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            parts = (f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
            raise BrokenPromises(f"{path.name}: {'; '.join(parts)}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BrokenPromises(f"{path.name}: not YAML: {error}") from error
        except OSError as error:
            raise BrokenPromises(f"{path.name}: {error.strerror}") from error

    @property
    def arrives_within(self) -> timedelta:
        return timedelta(days=self.arrive_days)

    @property
    def payment_within(self) -> timedelta:
        return timedelta(hours=self.pay_hours)

    def ships_within(self, presale_days: int, custom_made: bool, made_days: int) -> timedelta:
        """How soon after the payment goods leave."""
        if presale_days:
            return timedelta(days=presale_days)
        if custom_made:
            return timedelta(days=made_days or self.custom_ship_days)
        return timedelta(hours=self.ship_hours)


@cache
def promises() -> Promises:
    """Those of the house, as they were when this process first asked."""
    return Promises.load()
