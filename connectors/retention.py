"""How long what came and what went out is kept: ``retention.yml``, checked when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

REPEATED = 7
"""Days within which a channel or a program says the same again, at most: names are known for longer."""


class Retention(BaseModel):
    """In days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    media: Annotated[int, Field(ge=1)]
    sent: Annotated[int, Field(ge=REPEATED)]
    received: Annotated[int, Field(ge=REPEATED)]


def read(file: Path) -> Retention:
    """Raises ValueError for what is no such table."""
    try:
        return Retention.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ValueError(f"RETENTION_FILE: {error}") from None
