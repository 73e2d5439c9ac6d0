"""The way of a card as a picture: its owner, and the people of three levels, from left to right."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import settings
from bot.actions.pictures import HEAD, INK, LINE, QUIET, STRIPE, font_of, keep
from knowledge_graph.propagation import LEVELS, Path

WIDTH = 1080
ROWS = 14
"""Lines of people: a phone shows no more of them at a readable size."""

HIGH, GAP, WIDE = 56, 20, 200
MARGIN = 40
LETTERS = 26
PEOPLE = "#fdeee0"


@dataclass(frozen=True, slots=True)
class _Spot:
    person: str
    parent: str | None
    level: int
    row: float
    brought: int
    orders: int


def draw(path: Path, labels: Mapping[str, str]) -> str | None:
    """The name of a PNG in the pictures' folder; None where Pillow or a Chinese font is missing, or nobody has the
    card."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        return None
    font, small = font_of(ImageFont, LETTERS), font_of(ImageFont, LETTERS - 6)
    spots = _arranged(path)
    if font is None or len(spots) < 2:
        return None
    name = hashlib.sha256(repr((spots, sorted(labels.items()))).encode()).hexdigest()[:32] + ".png"
    target = settings.pictures_dir() / name
    if target.exists():
        return name
    rows = max(spot.row for spot in spots) + 1
    image = Image.new("RGB", (WIDTH, int(rows * (HIGH + GAP) + 2 * MARGIN)), "white")
    pen = ImageDraw.Draw(image)
    at = {spot.person: _box(spot) for spot in spots}
    for spot in spots:
        if spot.parent in at:
            _line(pen, at[spot.parent], at[spot.person])
    for spot in spots:
        left, top, right, bottom = at[spot.person]
        paper = HEAD if spot.level == 0 else PEOPLE if spot.brought or spot.orders else STRIPE
        edge = HEAD if spot.orders else LINE
        pen.rounded_rectangle((left, top, right, bottom), 14, fill=paper, outline=edge, width=2)
        more = f" +{spot.brought}" if spot.brought else ""
        label = _fitting(labels.get(spot.person, ""), font, right - left - 24 - small.getlength(more))
        pen.text((left + 12, top + 13), label, fill="white" if spot.level == 0 else INK, font=font)
        pen.text((right - 10 - small.getlength(more), top + 17), more, fill=QUIET, font=small)
    keep(image, target)
    return name


def _arranged(path: Path) -> list[_Spot]:
    """Of a crowd the greatest branches: children stand beside their parent, a parent in the middle of them."""
    children: dict[str, list[Any]] = defaultdict(list)
    for copy in path.copies:
        children[copy.source].append(copy)
    if path.owner is None:
        return []
    spots: list[_Spot] = []
    free = 0

    def place(person: str, parent: str | None, level: int, brought: int, orders: int) -> float:
        nonlocal free
        below = sorted(children[person], key=lambda copy: (-copy.brought - 5 * copy.orders, copy.since))
        rows = list[float]()
        for copy in below if level < LEVELS else ():
            if free + (not rows) > ROWS and rows:
                break
            rows.append(place(copy.person, person, level + 1, copy.brought, copy.orders))
        if rows:
            row = (rows[0] + rows[-1]) / 2
        else:
            row, free = float(free), free + 1
        spots.append(_Spot(person, parent, level, row, brought, orders))
        return row

    place(path.owner, None, 0, 0, 0)
    return spots


def _box(spot: _Spot) -> tuple[float, float, float, float]:
    step = (WIDTH - 2 * MARGIN - WIDE) / LEVELS
    left, top = MARGIN + spot.level * step, MARGIN + spot.row * (HIGH + GAP)
    return left, top, left + WIDE, top + HIGH


def _line(pen: Any, parent: tuple[float, ...], child: tuple[float, ...]) -> None:
    begin, end = (parent[2], parent[1] + HIGH / 2), (child[0], child[1] + HIGH / 2)
    middle = (begin[0] + end[0]) / 2
    pen.line([begin, (middle, begin[1]), (middle, end[1]), end], fill=QUIET, width=2, joint="curve")


def _fitting(text: str, font: Any, width: float) -> str:
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
