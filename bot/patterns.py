"""What trainers can read and correct of how messages are read: ``bot/data/patterns/*.yml``.

    pieces:                      # optional: {who} stands for it in the patterns below
      who: '我们?|咱们?'
    personal:                    # the name under which the code knows it
      pattern: '{who}个人'        # or a list of alternatives
      finds: [开我个人的吧]         # it must be found in each of these
      spares: [个人信息]           # and in none of these; optional

Python's regular expressions, in small letters; traditional characters are simplified when they are read. They are
matched against ``plain(text)``, whose places are those of the text as it was written. A file that is not well made, or
that fails its own examples, is refused when it is read: ``make lint`` reads all of them, and so does every start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from bot.spelling import plain, simplified

FOLDER = Path(__file__).parent / "data/patterns"

_PIECE = re.compile(r"\{([a-z_]+)\}")
_CAPITAL = re.compile(r"(?<![\\A-Za-z?])[A-Z]")


def load(name: str, *keys: str) -> dict[str, re.Pattern[str]]:
    """The patterns of ``<name>.yml``, which must be exactly ``keys``. Raises ValueError with file and key."""
    found = read(FOLDER / f"{name}.yml")
    if set(found) != set(keys):
        raise ValueError(f"{name}.yml: it has to have exactly {', '.join(sorted(keys))}")
    return found


def cut(pattern: re.Pattern[str], text: str, instead: str = "", most: int = 0) -> str:
    """``text`` as it was written, without what the pattern finds in it; the first ``most`` of them, 0 for all."""
    kept, at = [], 0
    for found in islice(pattern.finditer(plain(text)), most or None):
        kept.append(text[at : found.start()])
        at = found.end()
    return instead.join([*kept, text[at:]])


def read(path: Path) -> dict[str, re.Pattern[str]]:
    """All patterns of a file, each of which keeps its own examples. Raises ValueError with file and key."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        expect(isinstance(content, dict), "names and their patterns")
        pieces = read_pieces(content.pop("pieces", {}))
        return {name: _pattern(name, told, pieces) for name, told in content.items()}
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def _pattern(name: str, told: Any, pieces: Mapping[str, str]) -> re.Pattern[str]:
    made = isinstance(told, dict) and {"pattern", "finds"} <= set(told) <= {"pattern", "finds", "spares"}
    expect(made, f"{name}: pattern, finds and perhaps spares")
    written = told["pattern"] if isinstance(told["pattern"], list) else [told["pattern"]]
    alternatives = [filled(name, one, pieces) for one in listed(name, written)]
    whole = "|".join(f"(?:{one})" for one in alternatives) if len(alternatives) > 1 else alternatives[0]
    try:
        pattern = re.compile(whole)
    except re.error as error:  # two that name the same group
        raise ValueError(f"{name}: {error}") from None
    for example in _examples(f"{name}.finds", told["finds"]):
        expect(pattern.search(plain(example)), f"{name}: to be found in {example!r}")
    for example in _examples(f"{name}.spares", told.get("spares", [])):
        expect(not pattern.search(plain(example)), f"{name}: not to be found in {example!r}")
    return pattern


def _examples(where: str, told: Any) -> list[str]:
    expect(isinstance(told, list) and all(isinstance(one, (str, int)) for one in told), f"{where}: a list of messages")
    expect(told or not where.endswith(".finds"), f"{where}: at least one message")
    return [str(one) for one in told]


def read_pieces(told: Any) -> dict[str, str]:
    """Patterns that others put in by name. Raises ValueError, saying where."""
    expect(isinstance(told, dict), "pieces: names and their patterns")
    pieces: dict[str, str] = {}
    for name, written in told.items():  # a piece may use those above it
        where = f"pieces.{name}"
        expect(_PIECE.fullmatch(f"{{{name}}}"), f"{where}: small letters and _")
        alternatives = listed(where, written if isinstance(written, list) else [written])
        pieces[name] = f"(?:{'|'.join(filled(where, one, pieces) for one in alternatives)})"
    return pieces


def filled(where: str, pattern: str, pieces: Mapping[str, str]) -> str:
    """The pattern with its pieces, in the spelling that it will meet. It must compile by itself."""
    unknown = set(_PIECE.findall(pattern)) - set(pieces)
    expect(not unknown, f"{where}: no pieces other than those above it, not {', '.join(unknown)}")
    expect(not _CAPITAL.search(pattern), f"{where}: small letters in {pattern!r}, messages are compared in them")
    whole = _PIECE.sub(lambda name: pieces[name[1]], simplified(pattern))
    try:
        re.compile(whole)
    except re.error as error:
        raise ValueError(f"{where}: {pattern!r} is no regular expression, {error}") from None
    return whole


def listed(where: str, told: Any) -> list[str]:
    expect(isinstance(told, list) and told, f"{where}: a list of patterns")
    expect(all(isinstance(one, str) and one for one in told), f"{where}: patterns in quotes")
    return list(told)


def expect(met: Any, what: str) -> None:
    if not met:
        raise ValueError(f"expected {what}")
