"""WeChat's XML: one flat list of named texts, read with a parser that knows no documents but these, and written so that
nothing gets out of its element."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.parsers import expat

_UNSPEAKABLE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
"""UTF-8 of what XML cannot hold. Customers' words do: WeChat passes on what a keyboard makes."""


class Malformed(Exception):
    """Not what WeChat sends."""


def read(body: bytes) -> dict[str, str]:
    """The elements directly under ``<xml>`` with their texts; of what is nested in one, nothing. Raises Malformed."""
    return _parsed(body)[0]


def rows(body: bytes) -> list[dict[str, str]]:
    """Of each element two below ``<xml>``, of which there may be several of one name, the elements with their texts.
    Raises Malformed."""
    return _parsed(body)[1]


def _parsed(body: bytes) -> tuple[dict[str, str], list[dict[str, str]]]:
    found: dict[str, list[str]] = {}
    rows: list[dict[str, str]] = []
    path: list[str] = []

    def start(name: str, _: Mapping[str, str]) -> None:
        if not path and name != "xml":
            raise Malformed("another root")
        if len(path) == 1:
            if name in found:  # which of them counts, no two readers agree
                raise Malformed("an element twice")
            found[name] = []
        if len(path) == 2:
            rows.append({})
        path.append(name)

    def text(words: str) -> None:
        if len(path) == 2:
            found[path[1]].append(words)
        if len(path) == 4:
            rows[-1][path[3]] = rows[-1].get(path[3], "") + words

    def refuse(*_: object) -> None:
        raise Malformed("a document type")

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse  # so there are no entities
    try:
        parser.Parse(_UNSPEAKABLE.sub(b"", body), True)
    except expat.ExpatError:
        raise Malformed("no XML") from None
    return {name: "".join(words) for name, words in found.items()}, rows


def write(fields: Mapping[str, str | int]) -> str:
    """``<xml>`` with these elements: numbers as they are, texts as CDATA. The names are ours."""
    return f"<xml>{''.join(f'<{name}>{_value(value)}</{name}>' for name, value in fields.items())}</xml>"


def _value(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    said = _UNSPEAKABLE.sub(b"", value.encode(errors="ignore")).decode()
    return f"<![CDATA[{said.replace(']]>', ']]]]><![CDATA[>')}]]>"
