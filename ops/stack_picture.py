"""Draws the stack of flows at work: `python -m ops.stack_picture`, which is `make stack-picture`.

Says the lines of `docs/images/stack.yml` to the running house, reads back what the bot has stored of it, and draws that
as `docs/images/stack.svg`. The lines ask for an invoice, so a demo mall gives the same picture only once.

`--conversation HASH` draws one that is there already, as `/dashboard/conversations/HASH` shows it. A customer's words
are decrypted for it: the look is put on record, and the picture goes into `DATA_DIR`, readable for its owner alone.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import html
import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import httpx
import yaml
from sqlalchemy.exc import SQLAlchemyError

import settings
from connectors.dashboard.turns import Frame, Turn, read_turns
from connectors.messages import caller
from mall_adapter import open_desk
from mall_adapter.errors import NotFound
from mall_adapter.handoff import NotOnRecord
from privacy import KeyRingError, TamperedError, current_ring
from privacy.conversations import conversation_of

SAMPLE = settings.ROOT / "docs/images/stack.yml"
PICTURE = settings.ROOT / "docs/images/stack.svg"

PATIENCE = 40.0
"""Seconds for one answer."""

LAST = 12
"""Turns that are drawn of a conversation, if nobody says otherwise."""

WIDTH, MARGIN, NAMES, GAP, PAD = 1200, 16, 84, 12, 7
COLUMNS = 5
"""Turns side by side; what does not fit stands below."""

ROWS = ("customer", "commands", "stack", "actions", "answer")
STYLE = """
text { font-family: -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC",
  "WenQuanYi Micro Hei", sans-serif; fill: #2b211d; }
.code { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans CJK SC", "WenQuanYi Micro Hei",
  monospace; }
.soft { fill: #7a6a62; }
.strong { font-weight: bold; }
.said { fill: #ffffff; }
.pale { fill: #a3968f; }
rect { rx: 7px; }
.paper { fill: #faf6f2; rx: 0; }
.customer { fill: #a83224; }
.answer { fill: #ffffff; stroke: #ecdfd6; }
.frame { fill: #fdf1ee; stroke: #c8402f; stroke-width: 1.5; }
.frame.low { fill: #ffffff; stroke: #d9b8ae; }
.gone { fill: none; stroke: #d3c7c0; stroke-dasharray: 4 3; }
line { stroke: #ecdfd6; }
"""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HANGING, _OPENING = ("Po", "Pe", "Pf"), ("Ps", "Pi")
"""Categories of signs that never begin, and never end, a line."""

_PIECES = re.compile(r"[!-^`-\u02af]+_*|_+|\s|.", re.DOTALL)  # Latin words break after "_" as well


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    size: int = 13
    look: str = ""

    @property
    def height(self) -> float:
        return self.size * 1.4


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together, in a box if ``look`` names one."""

    lines: tuple[Line, ...]
    look: str = ""

    @property
    def height(self) -> float:
        return sum(line.height for line in self.lines) + (2 * PAD if self.look else 0)


Cell = list[Block]


def draw(turns: Sequence[Turn]) -> str:
    """An SVG with a column for each turn."""
    bands = -(-len(turns) // COLUMNS) or 1
    columns = -(-len(turns) // bands) or 1
    room = (WIDTH - 2 * MARGIN - NAMES) / columns - GAP
    table = [
        [
            _customer(turn, number, room),
            _commands(turn, room),
            _stack(turn, before, room),
            _actions(turn, room),
            _said(turn, room),
        ]
        for number, (before, turn) in enumerate(zip([None, *turns], turns, strict=False), 1)
    ]
    shapes: list[str] = []
    top = float(MARGIN)
    for first in range(0, len(table), columns):
        top = _band(shapes, table[first : first + columns], top, room) + 2 * MARGIN
    height = round(top - MARGIN)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
            "<title>The stack of flows, turn by turn</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
            *shapes,
            "</svg>\n",
        )
    )


def _band(shapes: list[str], columns: Sequence[Sequence[Cell]], top: float, room: float) -> float:
    """Draws turns side by side; gives where they end."""
    for row, name in enumerate(ROWS):
        cells = [column[row] for column in columns]
        height = max(_height(cell) for cell in cells)
        if not height:
            continue
        if row:
            shapes.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{top:.1f}" y2="{top:.1f}"/>')
            top += GAP
        _write(shapes, Line(name, 12, "soft"), MARGIN, top + 12)
        for number, cell in enumerate(cells):
            left = MARGIN + NAMES + number * (room + GAP)
            # a stack grows from the ground
            _draw_cell(shapes, cell, left, top + (height - _height(cell) if name == "stack" else 0), room)
        top += height + GAP
    return top


def _height(cell: Cell) -> float:
    return sum(block.height for block in cell) + GAP / 2 * max(0, len(cell) - 1)


def _draw_cell(shapes: list[str], cell: Cell, left: float, top: float, room: float) -> None:
    for block in cell:
        inset = PAD if block.look else 0
        if block.look:
            place = f'x="{left:.1f}" y="{top:.1f}" width="{room:.1f}" height="{block.height:.1f}"'
            shapes.append(f'<rect class="{block.look}" {place}/>')
        baseline = top + inset
        for line in block.lines:
            _write(shapes, line, left + inset, baseline + line.size * 1.05)
            baseline += line.height
        top += block.height + GAP / 2


def _write(shapes: list[str], line: Line, x: float, y: float) -> None:
    look = f' class="{line.look}"' if line.look else ""
    text = html.escape(_NOT_XML.sub(" ", line.text), quote=False)
    shapes.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{line.size}"{look}>{text}</text>')


# ---- what stands in a column ----


def _customer(turn: Turn, number: int, room: float) -> Cell:
    label = Block((Line(str(number), 11, "soft"),))
    if turn.customer is None:
        return [label]
    text = f"[{turn.customer.tapped}]" if turn.customer.tapped else turn.customer.text
    return [label, Block(wrapped(text, room - 2 * PAD, 3, 15, "said"), "customer")]


def _commands(turn: Turn, room: float) -> Cell:
    """Each with its reason. What else a wish says is left out, to be found among the slots of the dashboard."""
    return [
        Block(
            wrapped(re.sub(r"=\{.*", "", command.text, flags=re.DOTALL), room, 2, 12, "code")
            + wrapped(command.reason, room, 2, 11, "soft")
        )
        for command in turn.commands
    ]


def _stack(turn: Turn, before: Turn | None, room: float) -> Cell:
    """The topmost first; above it, what was on the stack and is gone at the end of the turn."""
    if turn.state is None:
        return []
    flows = [frame.flow for frame in turn.state.stack]
    began = [
        command.text.split("=")[0].split()[-1] for command in turn.commands if command.text.startswith("StartFlow ")
    ]
    had = [frame.flow for frame in reversed(before.state.stack)] if before and before.state else []
    gone = [flow for flow in dict.fromkeys([*began, *had]) if flow not in flows]
    cell: Cell = []
    for flow in gone:
        how = Line("gone" if flow in had else "came and went", 11, "pale")
        cell.append(Block((*wrapped(flow, room - 2 * PAD, 2, 12, "code pale"), how), "gone"))
    top = turn.state.stack[-1] if turn.state.stack else None
    cell += [_frame(frame, turn.state.turn if frame is top else None, room) for frame in reversed(turn.state.stack)]
    return cell or [Block((Line("empty", 11, "pale"),))]


def _frame(frame: Frame, now: str | None, room: float) -> Block:
    """``now`` is the number of the turn for the frame on top: only there a question stands on the screen."""
    more = dict(frame.more)
    status = more.get("status", "parked" if frame.parked else "open")
    asked_in = frame.asked_in or more.get("asked_in")
    low = status != "open" or now is None
    pale = " pale" if low else ""
    lines = wrapped(frame.flow, room - 2 * PAD, 2, 13, f"code{pale}")
    if status != "open":
        lines += (Line(status, 11, "pale"),)
    if frame.asked:
        times = dict(frame.asks).get(frame.asked, "1")
        often = "" if times == "1" else f" ({times}×)"
        if now is not None and asked_in == now:
            lines += wrapped(f"asks {frame.asked}{often}", room - 2 * PAD, 2, 13, "strong")
        else:
            lines += wrapped(f"asked {frame.asked}{often}", room - 2 * PAD, 2, 12, f"soft{pale}")
    return Block(lines, "frame low" if low else "frame")


def _actions(turn: Turn, room: float) -> Cell:
    names = [action.name for action in turn.actions if action.name not in ("action_listen", "action_session_start")]
    lines = [line for name in names for line in wrapped(name, room, 2, 11, "code soft")]
    return [Block(tuple(lines))] if lines else []


def _said(turn: Turn, room: float) -> Cell:
    """The first words of each message."""
    texts = [said.text for said in turn.said if said.text.strip()]
    return [Block(wrapped(text, room - 2 * PAD, 3, 12, ""), "answer") for text in texts]


def wrapped(text: str, room: float, most: int, size: int, look: str) -> tuple[Line, ...]:
    """At most ``most`` lines of ``room`` pixels; "…" stands for the rest."""
    lines, full = [""], room / size
    for piece in (part for word in _PIECES.findall(text) for part in ([word] if _width(word) <= full else word)):
        hangs = len(piece) == 1 and unicodedata.category(piece) in _HANGING and _width(lines[-1]) <= full
        if lines[-1] and _width(lines[-1] + piece) > full and not hangs:
            taken = lines[-1][-1] if unicodedata.category(lines[-1][-1]) in _OPENING and len(lines[-1]) > 1 else ""
            lines[-1] = lines[-1].removesuffix(taken)
            lines.append(taken)
        if lines[-1] or not piece.isspace():
            lines[-1] += " " if piece.isspace() else piece
        if len(lines) > most and lines[-1]:
            lines = lines[:most]
            while _width(lines[-1] + "…") > full:
                lines[-1] = lines[-1][:-1]
            lines[-1] += "…"
            break
    return tuple(Line(line.rstrip(), size, look) for line in lines if line.strip())


def _width(text: str) -> float:
    """In widths of a Chinese character; no font is at hand that could tell better."""
    return sum(
        0 if unicodedata.combining(one) else 1 if unicodedata.east_asian_width(one) in "WFA" else 0.61 for one in text
    )


# ---- where it comes from ----


def talk(lines: Sequence[str]) -> str:
    """Says the lines to the running house; gives the caller's id of the conversation. Raises httpx.HTTPError."""
    sender = f"stack-picture-{token_hex(8)}"
    key = {"Authorization": f"Bearer {settings.api_key()}"}
    with httpx.Client(base_url=settings.gateway_url(), headers=key, timeout=PATIENCE, trust_env=False) as http:
        for text in lines:
            http.post("/api/chat", json={"sender": sender, "text": text}).raise_for_status()
    return sender


async def look_into(conversation: str | None, sender: str, last: int) -> list[Turn]:
    """The last turns of a conversation, or else of the one that a caller of the gateway has had as ``sender``.

    Raises NotFound, and NotOnRecord when it cannot be put on record that somebody looks.
    """
    async with open_desk() as desk:
        ring = current_ring()
        conversation = conversation or conversation_of(ring, caller(ring.derive_each("api_sender")[0], sender))
        actor = await desk.operator(f"{getpass.getuser()}, stack-picture", "shell")
        excerpt = await desk.look_into(actor, conversation)
    turns = read_turns(excerpt.events, excerpt.first)
    return [turn for turn in turns if turn.customer or turn.said][-last:]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.stack_picture", description=__doc__)
    parser.add_argument("--conversation", metavar="HASH", help="one that is there, by its address in the dashboard")
    parser.add_argument("--sample", type=Path, default=SAMPLE, help="what else is said: a YAML list of lines")
    parser.add_argument("--last", type=int, default=LAST, metavar="N", help="turns that are drawn, %(default)s")
    parser.add_argument("--out", type=Path, help="where the picture goes")
    arguments = parser.parse_args()
    conversation = arguments.conversation
    if conversation and not re.fullmatch("[0-9a-f]{64}", conversation):
        parser.error("a conversation's address ends in 64 hexadecimal digits")
    private = settings.data_dir() / f"stack-{(conversation or '')[:8]}.svg"
    out: Path = arguments.out or (private if conversation else PICTURE)
    try:
        lines = [] if conversation else list(map(str, yaml.safe_load(arguments.sample.read_text("utf-8"))))
        sender = "" if conversation else talk(lines)
        turns = asyncio.run(look_into(conversation, sender, max(arguments.last, len(lines))))
    except httpx.HTTPError as error:
        sys.exit(
            f"The house does not answer, is `make run` running? / 连不上，请先运行 make run ({type(error).__name__})"
        )
    except (NotFound, NotOnRecord, KeyRingError, TamperedError) as error:
        sys.exit(str(error))
    except SQLAlchemyError as error:
        sys.exit(f"The database does not answer, or `make seed` was not run: {type(error).__name__}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch(0o600 if conversation else 0o644)
    out.write_text(draw(turns), "utf-8")
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
