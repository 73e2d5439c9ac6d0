"""The template notice that tells a person who may not be sent anything else that an answer waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from connectors.wechat.words import WORDS
from settings import SHANGHAI


class Notice(BaseModel):
    """``data`` fills the fields of the template, as its page in the account's console names them; ``{time}`` in a
    value becomes the time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template_id: str
    data: Mapping[str, str]

    def filled(self, now: datetime) -> dict[str, str]:
        time = f"{now.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
        return {name: words.replace("{time}", time) for name, words in self.data.items()}


def read(file: Path) -> Notice:
    """Raises ValueError for what is no notice."""
    try:
        return Notice.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{WORDS.setup.bad_notice} ({type(error).__name__})") from None
