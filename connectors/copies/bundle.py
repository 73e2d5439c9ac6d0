"""A copy as a file: a page that people read, and the same for programs, in one ZIP."""

from __future__ import annotations

import html
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from connectors.copies.words import WORDS
from mall_adapter.data_rights import Copy
from settings import SHANGHAI

_PAGE = """<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ font: 15px/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
  section {{ overflow-x: auto }}
  table {{ border-collapse: collapse; margin-bottom: 1rem }}
  th, td {{ border: 1px solid #bbb; padding: .2rem .5rem; text-align: left; vertical-align: top }}
</style>
<h1>{title}</h1>
<p>{lead}</p>
{tables}
</html>
"""


def bundle(copy: Copy, now: datetime) -> bytes:
    """The bytes of the ZIP."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("data.json", to_json(copy, indent=2))
        made.writestr("index.html", page(copy, now))
    return file.getvalue()


def page(copy: Copy, now: datetime) -> str:
    """Everything in it is text: nothing that a customer has written becomes a part of the page."""
    words = WORDS.file
    sections = (
        f"<section><h2>{html.escape(WORDS.tables[name])}</h2>{_table(rows)}</section>" for name, rows in copy.items()
    )
    lead = words.lead.format(at=_moment(now))
    return _PAGE.format(title=html.escape(words.title), lead=html.escape(lead), tables="\n".join(sections))


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return f"<p>{html.escape(WORDS.file.none)}</p>"
    head = "".join(f"<th>{html.escape(WORDS.fields[name])}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row.values())}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return html.escape(WORDS.file.yes_ if value else WORDS.file.no_)
        case datetime():
            return _moment(value)
        case [dict(), *_]:
            return _table(value)
        case list() | tuple():
            return html.escape(", ".join(map(str, value)))
    return html.escape(str(value))


def _moment(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
