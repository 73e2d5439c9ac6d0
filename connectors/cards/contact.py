"""A card as a contact: vCard 3.0, which every telephone reads."""

from __future__ import annotations

import re

from mall_adapter.cards import Face

_ESCAPED = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": ""})

LINE = 75
"""Bytes, after which a line goes on in the next one."""


def contact(face: Face, title: str, shop: str, link: str) -> str:
    """``title`` and ``shop`` are the house's words; ``link`` is that of the copy."""
    phone = re.sub(r"[^0-9+]", "", face.phone or "")
    fields = {
        "FN": face.name,
        "N": f"{_text(face.name)};;;;",
        "ORG": shop,
        "TITLE": title,
        "TEL;TYPE=CELL": phone,
        "NOTE": face.greeting or "",
        "URL": link,
    }
    told = (f"{name}:{value if name == 'N' else _text(value)}" for name, value in fields.items() if value)
    lines = ["BEGIN:VCARD", "VERSION:3.0", *told, "END:VCARD"]
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _text(value: str) -> str:
    return value.translate(_ESCAPED)


def _folded(line: str) -> str:
    """Never within a character."""
    parts, room = [""], LINE
    for each in line:
        if len((parts[-1] + each).encode()) > room:
            parts.append("")
            room = LINE - 1  # a blank begins each further one
        parts[-1] += each
    return "\r\n ".join(parts)
