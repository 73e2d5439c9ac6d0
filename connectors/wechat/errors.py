"""What WeChat's error codes lead to: ``errors.yml``, which names every code that is known to need something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from settings import SHANGHAI
from storage.outbox import Dead, Outcome, Parked, Retry

BUSY = -1
PAUSE = timedelta(minutes=1)
"""Before what went wrong in an unknown way is tried again."""

REST = timedelta(minutes=5)
"""Before a channel that is set up wrongly is tried again."""


class Classes(BaseModel):
    """What the codes of one API lead to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    person: Sequence[int]
    window: Sequence[int]
    later: Mapping[int, int | Literal["midnight"]]  # seconds
    configuration: Mapping[int, str]
    content: Sequence[int]
    token: Sequence[int]

    def outcome(self, code: int, now: datetime) -> Outcome:
        """How a message ends, or goes on, that was answered with this code."""
        if code in self.person:
            return Dead(f"person:{code}")
        if code in self.window:
            return Parked(f"window:{code}")
        if code in self.content:
            return Dead(f"content:{code}")
        if code in self.configuration:
            return Retry(f"configuration:{code}", now + REST)
        return Retry(f"later:{code}", self._later(code, now))

    def _later(self, code: int, now: datetime) -> datetime:
        pause = self.later.get(code)
        if pause == "midnight":
            tomorrow = now.astimezone(SHANGHAI) + timedelta(days=1)
            return tomorrow.replace(hour=0, minute=0, second=0, microsecond=0) + PAUSE
        return now + (PAUSE if pause is None else timedelta(seconds=pause))


class Errors(Classes):
    no_menus: Sequence[int]
    no_sending: Sequence[int]
    no_consent: Sequence[int]
    template: Mapping[int, str]


ERRORS = Errors.model_validate(yaml.safe_load(Path(__file__).with_name("errors.yml").read_text("utf-8")))
