"""The menu below a conversation: ``menu.yml``, in WeChat's form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

SAID_MOST = 128
"""Bytes of UTF-8 of what a tap says."""


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    say: str | None = None
    url: str | None = Field(default=None, pattern="^https?://")
    more: Sequence[Self] = Field(default=(), max_length=5)

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if (self.say is not None) + (self.url is not None) + bool(self.more) != 1:
            raise ValueError("an entry has one of say, url and more")
        if len((self.say or "").encode()) > SAID_MOST:
            raise ValueError(f"what is said is at most {SAID_MOST} bytes")
        if any(each.more for each in self.more):
            raise ValueError("there are two levels")
        return self

    def button(self) -> dict[str, Any]:
        if self.more:
            return {"name": self.name, "sub_button": [each.button() for each in self.more]}
        if self.url:
            return {"type": "view", "name": self.name, "url": self.url}
        return {"type": "click", "name": self.name, "key": self.say}


class Menu(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    menu: Sequence[Entry] = Field(min_length=1, max_length=3)


def read(file: Path) -> dict[str, Any]:
    """Raises OSError, yaml.YAMLError or pydantic's ValidationError."""
    return {"button": [entry.button() for entry in Menu.model_validate(yaml.safe_load(file.read_text("utf-8"))).menu]}
