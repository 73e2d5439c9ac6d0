"""A table as a picture, for channels that have no tables."""

from __future__ import annotations

import hashlib
import math
import os
import re
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import settings
from bot.actions.comparison import Table

FONTS = (
    "wqy-microhei.ttc",
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "wqy-zenhei.ttc",
    "msyh.ttc",
    "PingFang.ttc",
)
"""The first that this machine has; they hold Chinese characters."""

SIZE, LEADING, PADDING = 28, 40, 16
WIDTH = 750
"""A phone shows so many points from edge to edge, two or three to one of its own: letters of 28 are easy to read."""

LABELS_AT_MOST = 170
HEAD, STRIPE, ANSWER, LINE, INK, QUIET = "#c8402f", "#faf6f2", "#fdeee0", "#eadfd6", "#2b211d", "#7a6a62"
KEPT = 500
"""Pictures; the oldest give way."""

_PIECES = re.compile(r"[0-9.]+ [A-Za-z%]+ ?|[!-~]+ ?|.", re.DOTALL)
"""What a line is not broken in: numbers with their units and Latin words; between Chinese characters it may be."""


def draw(table: Table) -> str | None:
    """The name of a PNG in the pictures' folder; None where Pillow or a Chinese font is missing."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        return None
    font = font_of(ImageFont)
    if font is None:
        return None
    name = hashlib.sha256(repr(table).encode()).hexdigest()[:32] + ".png"
    path = settings.pictures_dir() / name
    if path.exists():
        return name
    labels = min(LABELS_AT_MOST, max(math.ceil(font.getlength(row[0])) for row in table.rows) + 2 * PADDING)
    others = (WIDTH - labels) // (len(table.columns) - 1)
    widths = [WIDTH - others * (len(table.columns) - 1), *[others] * (len(table.columns) - 1)]
    rows = [
        [_wrapped(cell, font, width - 2 * PADDING) for cell, width in zip(row, widths, strict=True)]
        for row in [table.columns, *table.rows]
    ]
    heights = [max(map(len, row)) * LEADING + 2 * PADDING for row in rows]
    image = Image.new("RGB", (WIDTH, sum(heights)), "white")
    pen = ImageDraw.Draw(image)
    top = 0
    for number, (row, height) in enumerate(zip(rows, heights, strict=True)):
        head, answers = number == 0, 0 < number <= table.asked
        paper = HEAD if head else ANSWER if answers else STRIPE if number % 2 else "white"
        pen.rectangle((0, top, WIDTH, top + height), fill=paper)
        pen.line((0, top, WIDTH, top), fill=LINE)
        left = 0
        for column, (lines, width) in enumerate(zip(row, widths, strict=True)):
            ink = "white" if head else INK if column or answers else QUIET
            for place, line in enumerate(lines):
                spot = (left + PADDING, top + PADDING + place * LEADING + (LEADING - SIZE) // 2 - 2)
                # the fonts have no bold: a heading and an answer get a thin edge
                pen.text(spot, line, fill=ink, font=font, stroke_width=0.6 if head or answers else 0)
            left += width
        top += height
    keep(image, path)
    return name


def font_of(fonts: Any, size: int = SIZE) -> Any:
    """Of Pillow's ``ImageFont``; None where this machine has no Chinese one."""
    for name in FONTS:
        try:
            return fonts.truetype(name, size)
        except OSError:
            continue
    return None


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    lines = [""]
    for piece in _PIECES.findall(text):
        if lines[-1] and font.getlength((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        for character in piece if font.getlength(piece.rstrip()) > width else [piece]:
            if lines[-1] and font.getlength((lines[-1] + character).rstrip()) > width:
                lines.append("")
            lines[-1] += character
    return [line.strip() for line in lines]


def keep(image: Any, path: Path) -> None:
    """The oldest pictures give way."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile("wb", dir=path.parent, prefix=".", delete=False) as draft:
        image.save(draft, "PNG")
    os.replace(draft.name, path)  # noqa: PTH105 (a reader has the whole picture or none)
    for old in sorted(path.parent.glob("*.png"), key=_drawn_at, reverse=True)[KEPT:]:
        old.unlink(missing_ok=True)


def _drawn_at(picture: Path) -> float:
    """0 for one that has just given way to another thread's."""
    try:
        return picture.stat().st_mtime
    except FileNotFoundError:
        return 0.0
