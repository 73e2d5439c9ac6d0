"""In which language a visitor reads the web chat's page, and its words: ``languages.yml``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from fastapi import Request

FILE = Path(__file__).with_name("languages.yml")

COOKIE = "zhanggui_language"
"""Of who has chosen one."""


@cache
def words() -> dict[str, dict[str, Any]]:
    """The page's words by language, the first of which is everybody's who has asked for none of them.

    Raises ValueError where a language lacks some.
    """
    languages: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))
    first, *others = languages.values()
    for language, other in zip(list(languages)[1:], others, strict=True):
        if odd := first.keys() ^ other.keys():
            raise ValueError(f"languages.yml: {language} differs in {', '.join(sorted(odd))}")
    return languages


def language(request: Request) -> str:
    """The one asked for in the address, chosen earlier, or liked best by the browser."""
    known = words()
    for asked in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        if asked in known:
            return asked
    for liked in _by_preference(request.headers.get("Accept-Language", "")):
        for each in known:
            if liked.partition("-")[0] == each.partition("-")[0].lower():
                return each
    return next(iter(known))


def _by_preference(header: str) -> Sequence[str]:
    """The languages of an ``Accept-Language`` header in lower case, the best first."""
    weighed = []
    for entry in header.lower().split(",")[:20]:
        name, _, weight = entry.partition(";")
        if found := re.fullmatch(r"\s*(?:q=([01](?:\.\d{1,3})?))?\s*", weight):
            weighed.append((-float(found[1] or 1), name.strip()))
    return [name for weight, name in sorted(weighed, key=lambda each: each[0]) if weight]
