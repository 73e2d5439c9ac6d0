"""A card as a picture, to be passed on: ``picture.svg`` filled in and drawn as a PNG that is 1080 points wide.

Synchronous, a second of work: call it in a thread. What was drawn once lies in the folder of pictures under a name that
is the hash of what it shows.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import Template
from tempfile import NamedTemporaryFile
from xml.sax.saxutils import escape

import pylopdf_fonts_zh_cn
import resvg_py
import segno
from fontTools.ttLib import TTFont

import settings
from connectors.cards.words import WORDS
from mall_adapter.cards import Face

HERE = Path(__file__).parent

ROOM = 820
"""Points between the edges, for one line."""

QR_ROOM = 236
"""Points that the code takes; it is read at a third of that, too."""

_drawing = threading.Semaphore(1)  # of a process: each takes a core for a second


class Letters:
    """Which letters the font has, and how wide they are."""

    def __init__(self, path: Path) -> None:
        with TTFont(path, lazy=True) as font:
            names: dict[int, str] = font.getBestCmap()
            widths, em = font["hmtx"], font["head"].unitsPerEm
            self._wide: dict[int, float] = {code: widths[name][0] / em for code, name in names.items()}

    def known(self, text: str) -> str:
        """Without what the font would draw as a box: emoji, rare characters."""
        return " ".join("".join(each for each in text if ord(each) in self._wide).split())

    def width(self, text: str) -> float:
        """In sizes of the font."""
        return sum(self._wide[ord(each)] for each in text)

    def fitting(self, text: str, size: int, room: int = ROOM) -> int:
        """The size in which it has room, this one at most."""
        return min(size, int(room / max(self.width(text), 1e-9)))

    def lines(self, text: str, size: int, most: int, room: int = ROOM) -> list[str]:
        """So many lines at most, the last of which ends in dots where there is more."""
        lines = [""]
        for each in text:
            if self.width(lines[-1] + each) * size > room:
                if len(lines) == most:
                    return [*lines[:-1], lines[-1][:-1] + "…"]
                lines.append("")
            lines[-1] += each
        return lines


@cache
def letters() -> Letters:
    return Letters(pylopdf_fonts_zh_cn.sans_path())


def draw(face: Face, goods: Sequence[str], link: str) -> str:
    """The name of a PNG in the pictures' folder. ``goods`` are names; ``link`` is ASCII, and stands in the code."""
    svg = _filled(face, goods, link)
    name = hashlib.sha256(svg.encode()).hexdigest()[:32] + ".png"
    path = settings.pictures_dir() / name
    if not path.exists():
        with _drawing:
            font = str(pylopdf_fonts_zh_cn.sans_path())
            drawn = bytes(resvg_py.svg_to_bytes(svg_string=svg, font_files=[font], skip_system_fonts=True))
        _keep(drawn, path)
    return name


def _filled(face: Face, goods: Sequence[str], link: str) -> str:
    font, own = letters(), WORDS.picture
    title = font.known(face.title or "") or own.title
    name = font.known(face.name) or title
    greeting = font.lines(font.known(face.greeting or ""), 38, 3)
    shown = [font.lines(known, 36, 1, 750)[0] for each in goods[:3] if (known := font.known(each))]
    code = segno.make(link, error="m", mode="byte", encoding="utf-8", micro=False)
    rows = list(code.matrix)
    squares = (f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
    values = {
        "shop": own.shop,
        "invite": own.invite,
        "invite_more": own.invite_more,
        "goods_title": own.goods,
        "name": name,
        "name_size": font.fitting(name, 84),
        "title": title,
        "title_size": font.fitting(title, 42),
        "initial": name[0],
        "initial_display": _display(not face.portrait),
        "portrait": f"data:image/jpeg;base64,{base64.b64encode(face.portrait).decode()}" if face.portrait else "",
        "portrait_display": _display(bool(face.portrait)),
        "phone": font.known(face.phone or ""),
        "phone_display": _display(bool(face.phone)),
        "goods_display": _display(bool(shown)),
        "goods_height": 76 + 50 * len(shown),
        "qr": "".join(squares),
        "qr_scale": QR_ROOM / len(rows),
        **{f"greeting_{place + 1}": line for place, line in enumerate([*greeting, "", "", ""][:3])},
        **{f"goods_{place + 1}": line for place, line in enumerate([*shown, "", "", ""][:3])},
    }
    template = Template((HERE / "picture.svg").read_text("utf-8"))
    return template.substitute({key: escape(str(value), {'"': "&quot;"}) for key, value in values.items()})


def _display(there: bool) -> str:
    return "inline" if there else "none"


def _keep(drawn: bytes, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile("wb", dir=path.parent, prefix=".", delete=False) as draft:
        draft.write(drawn)
    os.replace(draft.name, path)  # noqa: PTH105 (a reader has the whole picture or none)
