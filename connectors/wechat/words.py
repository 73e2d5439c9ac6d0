"""The words of ``words.yml``."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Health(_Part):
    plain: str
    sealed: str
    no_value: str
    clock: str


class Setup(_Part):
    no_credentials: str
    credentials: str
    menu: str
    address: str
    kf_accounts: str
    kf_address: str
    away: str
    unreadable: str
    bad_menu: str
    bad_scene: str
    bad_key: str
    bad_notice: str


class Words(_Part):
    unsupported: str
    waits: str
    health: Health
    setup: Setup


WORDS = Words.model_validate(yaml.safe_load(Path(__file__).with_name("words.yml").read_text("utf-8")))
