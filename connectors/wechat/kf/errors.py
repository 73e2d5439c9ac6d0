"""What WeCom's error codes lead to: ``errors.yml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from connectors.wechat.errors import Classes


class Errors(Classes):
    state: Sequence[int]
    bell: Sequence[int]
    cursor: Sequence[int]


ERRORS = Errors.model_validate(yaml.safe_load(Path(__file__).with_name("errors.yml").read_text("utf-8")))
