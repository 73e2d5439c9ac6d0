"""Text in Telegram: its length counts code points, but what stands where in it counts in units of UTF-16.

Text goes out as it is, with no markup that anything could be injected into; what is to look otherwise is told apart
from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiogram.types import MessageEntity

TEXT_MOST, CAPTION_MOST = 4096, 1024
"""Code points."""

NUMBER = re.compile(r"(?<![A-Za-z0-9_/=.&?#%-])[A-Z]{1,4}[0-9]{5,12}(?![A-Za-z0-9])")
"""Of an order, a ticket, a coupon; not within a web address, which would be none any more."""


def units(text: str) -> int:
    """Its length in UTF-16."""
    return len(_units(text)) // 2


def rich(text: str) -> list[MessageEntity]:
    """Numbers, which a tap copies."""
    return [
        MessageEntity(type="code", offset=units(text[: found.start()]), length=units(found[0]))
        for found in NUMBER.finditer(text)
    ]


def part(text: str, entity: MessageEntity) -> str:
    return _text(_units(text)[2 * entity.offset : 2 * (entity.offset + entity.length)])


def without(text: str, entities: Sequence[MessageEntity]) -> str:
    """The text without these of its parts."""
    said = _units(text)
    for entity in sorted(entities, key=lambda entity: entity.offset, reverse=True):
        said = said[: 2 * entity.offset] + said[2 * (entity.offset + entity.length) :]
    return _text(said).strip()


def _units(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _text(units: bytes) -> str:
    return units.decode("utf-16-le", "replace")
