"""How long it takes: ``rights.yml``, checked when it is read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mall_adapter.rules import Numbers, numbers


class _Rights(Numbers):
    export_hours: Annotated[int, Field(ge=1, le=24 * 7)]
    export_tries: Annotated[int, Field(ge=1, le=10)]
    erase_days: Annotated[int, Field(ge=0, le=15)]  # the law has it done within 15 working days

    @property
    def link_lasts(self) -> timedelta:
        return timedelta(hours=self.export_hours)

    @property
    def cooling(self) -> timedelta:
        return timedelta(days=self.erase_days)

    @property
    def told(self) -> dict[str, int]:
        """What customers are told, by the names that texts use."""
        return {"export_hours": self.export_hours, "erase_days": self.erase_days}


RIGHTS = numbers(_Rights, Path(__file__).with_name("rights.yml").read_text("utf-8"), "rights.yml")
