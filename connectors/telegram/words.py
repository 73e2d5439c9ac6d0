"""The words of ``words.yml`` and ``errors.yml``, checked when they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Command(_Part):
    title: Annotated[str, Field(min_length=1, max_length=256)]
    says: Text


class Warnings(_Part):
    configuration: Text
    unreachable: Text
    webhook: Text


class Words(_Part):
    commands: Mapping[Name, Command]
    in_private: Text
    warnings: Warnings


class Refusals(_Part):
    person: Sequence[Text]
    picture: Sequence[Text]


def _read(name: str) -> object:
    return yaml.safe_load(Path(__file__).with_name(name).read_text("utf-8"))


WORDS = Words.model_validate(_read("words.yml"))
REFUSALS = Refusals.model_validate(_read("errors.yml"))
