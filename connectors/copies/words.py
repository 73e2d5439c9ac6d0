"""The words of ``words.yml``, checked when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(_Part):
    language: Text
    title: Text
    lead: Text
    tail: Text
    download: Text
    wrong: Text
    done: Text
    over: Text
    away: Text
    noscript: Text


class File(_Part):
    name: Text
    title: Text
    lead: Text
    none: Text
    yes_: Text
    no_: Text


class Words(_Part):
    page: Mapping[str, Page]
    file: File
    tables: Mapping[str, Text]
    fields: Mapping[str, Text]


WORDS = Words.model_validate(yaml.safe_load(Path(__file__).with_name("words.yml").read_text("utf-8")))
