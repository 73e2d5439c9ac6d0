"""What trainers can read and correct of how messages are read: ``bot/data/patterns/*.yml``.

Python's regular expressions, without regard to case; a list is one pattern with alternatives. A file is checked when it
is read, which is when the action server starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "data/patterns"


def load(name: str, *keys: str) -> dict[str, re.Pattern[str]]:
    """The patterns of ``<name>.yml``, which must be exactly ``keys``. Raises ValueError with file and key."""
    path = FOLDER / f"{name}.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or set(content) != set(keys):
        raise ValueError(f"{path}: it has to have exactly {', '.join(sorted(keys))}")
    return compiled(path, content)


def compiled(path: Path, content: Mapping[str, Any]) -> dict[str, re.Pattern[str]]:
    found: dict[str, re.Pattern[str]] = {}
    for key, written in content.items():
        alternatives = written if isinstance(written, list) else [written]
        if not alternatives or not all(isinstance(one, str) and one for one in alternatives):
            raise ValueError(f"{path}: {key} is neither a pattern nor a list of patterns")
        for one in alternatives:
            try:
                re.compile(one)
            except re.error as error:
                raise ValueError(f"{path}: {key}: {one!r} is no regular expression: {error}") from error
        found[key] = re.compile("|".join(f"(?:{one})" for one in alternatives), re.IGNORECASE)
    return found
