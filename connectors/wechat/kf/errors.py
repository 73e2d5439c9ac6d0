"""What WeCom's error codes lead to: ``errors.yml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import yaml

from connectors.wechat.errors import Classes
from storage.outbox import Dead, Parked


class Errors(Classes):
    state: Sequence[int]
    bell: Sequence[int]
    cursor: Sequence[int]
    failed: Mapping[int, Literal["person", "window", "later", "configuration", "content"]]

    def returned(self, reason: int) -> Parked | Dead:
        """How a message ends that WeCom had taken, and then could not bring for this reason."""
        error_class = self.failed.get(reason, "later")
        told = f"{error_class}:failed_{reason}"
        return Parked(told) if error_class == "window" else Dead(told)


ERRORS = Errors.model_validate(yaml.safe_load(Path(__file__).with_name("errors.yml").read_text("utf-8")))
