"""The words of ``words.yml`` and the patterns of ``agents.yml``, checked when they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Picture(_Part):
    shop: Text
    title: Text
    goods: Text
    invite: Text
    invite_more: Text


class Page(_Part):
    shop: Text
    title: Text
    heading: Text
    description: Text
    goods: Text
    price_from: Text
    chat_web: Text
    chat_wechat: Text
    chat_telegram: Text
    save: Text
    picture: Text
    picture_alt: Text
    share: Text
    copied: Text
    privacy_title: Text
    privacy: Text
    decline: Text
    declined: Text
    accept: Text
    noscript: Text
    gone_title: Text
    gone: Text
    language: Text


class Words(_Part):
    picture: Picture
    page: Mapping[str, Page]


class _Agents(_Part):
    crawlers: Sequence[Text]
    channels: Mapping[str, Sequence[Text]]


def _read(name: str) -> object:
    return yaml.safe_load(Path(__file__).with_name(name).read_text("utf-8"))


class Agents:
    """What a ``User-Agent`` tells."""

    def __init__(self) -> None:
        told = _Agents.model_validate(_read("agents.yml"))
        self._crawlers = re.compile("|".join(told.crawlers), re.IGNORECASE)
        self._channels = {
            name: re.compile("|".join(patterns), re.IGNORECASE) for name, patterns in told.channels.items()
        }

    def is_crawler(self, agent: str) -> bool:
        """Also of whoever does not say what they are."""
        return not agent or bool(self._crawlers.search(agent))

    def channel(self, agent: str) -> str | None:
        return next((name for name, pattern in self._channels.items() if pattern.search(agent)), None)


WORDS = Words.model_validate(_read("words.yml"))
AGENTS = Agents()
