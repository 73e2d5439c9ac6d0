"""What the bot is taught, as far as finding answers learns from it: read from files that are not this room's.

``bot/data/nlu`` holds lines by intent, as Rasa reads them, ``bot/topics.yml`` says which intent asks about which topic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ANNOTATION = re.compile(r"\[(?P<words>[^\]]+?)\](?:\((?P<entity>[^:)]+)[^)]*\)|(?P<details>\{[^}]+\}|\[.*?\]))")
"""An entity in an example: `[red](color)`, `[red]{"entity": "color", "value": "…"}` or `[red][{…}, {…}]`."""


@dataclass(frozen=True, slots=True)
class Taught:
    """``spoken``: the lines of each intent as customers type them. ``topics``: what an intent asks about, if so."""

    spoken: Mapping[str, Sequence[str]]
    topics: Mapping[str, str]

    @classmethod
    def read(cls, lines: Path, topics: Path) -> Taught:
        found: dict[str, list[str]] = {}
        for path in sorted(lines.rglob("*.yml")):
            for block in _yaml(path).get("nlu", ()):
                if "intent" in block:
                    spoken = found.setdefault(block["intent"], [])
                    for line in map(str.strip, str(block.get("examples", "")).splitlines()):
                        if line.startswith("- "):
                            spoken.append(ANNOTATION.sub(r"\g<words>", line[2:].strip()))
        return cls(found, _yaml(topics)["intents"])


def _yaml(path: Path) -> dict[str, Any]:
    found = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    return found if isinstance(found, dict) else {}
