"""What customers and programs read that the bot itself does not say: ``words.yml``, which operators may reword."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Annotated, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from connectors.inbound import MediaKind

FILE = Path(__file__).with_name("words.yml")

FIELDS = frozenset({"field", "limit", "seconds", "text", "place", "title", "name", "value", "number"})
"""What may be filled in."""


def _fills(text: str) -> str:
    """Raises ValueError, also for half a bracket."""
    if unknown := {name for _, name, _, _ in Formatter().parse(text) if name is not None} - FIELDS:
        raise ValueError(f"cannot be filled in: {', '.join(sorted(unknown))}")
    return text


def _compiles(pattern: str) -> str:
    if "(?P<place>" in pattern or "{number}" not in pattern:
        try:
            re.compile(pattern.replace("{number}", "[0-9]+"))
        except re.error as error:
            raise ValueError(f"no pattern: {error}") from None
        return pattern
    raise ValueError("a pattern of places needs a group (?P<place>…)")


def _all_kinds(texts: Mapping[MediaKind, str]) -> Mapping[MediaKind, str]:
    if missing := set(get_args(MediaKind)) - texts.keys():
        raise ValueError(f"nothing is said of: {', '.join(sorted(missing))}")
    return texts


Text = Annotated[str, Field(min_length=1), AfterValidator(_fills)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compiles)]
OfMedia = Annotated[Mapping[MediaKind, Text], AfterValidator(_all_kinds)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Receipts(_Part):
    moment: Text
    again: Text
    expired: Text
    welcome: Text
    too_long: Text
    listening: Text
    came_by_card: Text
    portrait: Text
    said_by_desk: Text
    media: OfMedia
    unkept: Text


class Choices(_Part):
    numbered: Text
    titled: Text
    bullet: Text
    number: Text
    column: Text
    place: Pattern
    last: Pattern
    numerals: Mapping[str, Annotated[int, Field(ge=1, le=99)]]
    own_number: Pattern


class Words(_Part):
    receipts: Receipts
    marks: OfMedia
    choices: Choices
    cuts: Sequence[Annotated[str, Field(min_length=1)]]
    complaints: Mapping[str, Text]
    refusals: Mapping[str, Text]
    tasks: Mapping[str, Text]


def read(file: Path = FILE) -> Words:
    """Raises OSError, yaml.YAMLError, or pydantic's ValidationError, which names the place."""
    return Words.model_validate(yaml.safe_load(file.read_text("utf-8")))


WORDS = read()
