"""Whether any text that customers see promises something for passing a card on: ``python -m ops.lures``.

Read are the bot's responses, the pages, templates and words of the channels, the notices, and the titles and answers of
the knowledge (not what people ask). What counts as such a promise stands in ``ops/lures.yml``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bot import patterns
from bot.spelling import plain
from settings import ROOT

PATTERNS = Path(__file__).with_name("lures.yml")

WORDS = (
    *("bot/domain.yml", "connectors/**/*.yml", "knowledge_graph/content/*.yml"),
    *("mall_adapter/notices/*.yml", "mall_adapter/cards/**/*.yml"),
)
"""YAML of which every value may be seen by somebody."""

PAGES = ("connectors/**/*.html", "connectors/**/*.svg", "mall_adapter/**/*.svg", "mall_adapter/**/*.html")

ASKED = frozenset({"ask", "payload"})
"""Keys of what people say, and of what no one reads."""

_SENTENCE = re.compile(r"[。！？；!?;\n]+|(?<=[a-z])\.(?=\s|$)")
_TAG = re.compile(r"<[^>]*>")


def texts(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Where, and what is said there."""
    for pattern in WORDS:
        for file in sorted(root.glob(pattern)):
            content = yaml.safe_load(file.read_text("utf-8"))
            yield from ((f"{file.relative_to(root)}: {place}", text) for place, text in _values(content, ""))
    for pattern in PAGES:
        for file in sorted(root.glob(pattern)):
            for number, line in enumerate(_TAG.sub("\n", file.read_text("utf-8")).splitlines(), 1):
                yield f"{file.relative_to(root)}:{number}", line


def promises(text: str) -> Sequence[str]:
    """Sentences of the text that promise something."""
    said = _said()
    found = (sentence.strip() for sentence in _SENTENCE.split(text))
    return [each for each in found if said["promise"].search(plain(each)) and not said["denied"].search(plain(each))]


@cache
def _said() -> dict[str, re.Pattern[str]]:
    return patterns.read(PATTERNS)


def _values(content: Any, place: str) -> Iterator[tuple[str, str]]:
    match content:
        case str():
            yield place, content
        case dict():
            for name, value in content.items():
                if name not in ASKED:
                    yield from _values(value, f"{place}.{name}".lstrip("."))
        case list():
            for value in content:
                named = value.get("id") if isinstance(value, dict) else None
                yield from _values(value, f"{place}.{named}" if named else place)


def main() -> int:
    found = [(place, sentence) for place, text in texts() for sentence in promises(text)]
    for place, sentence in found:
        print(f"{place}: {sentence}")
    if found:
        print("为转发许诺好处，平台会封 / something is promised for passing a card on, which platforms ban")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
