"""``python -m knowledge_graph COMMAND``: the embedded graph, what goes into whichever there is, and questions to it.

``ask`` takes a question, or one a line from ``--file`` or standard input; ``--json`` prints for each of them an object
with text, answer, topic, source (the answer's id, null when it is not known) and score (the probability that it is the
answer).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import settings
from knowledge_graph import content, gaps, learning
from knowledge_graph.answering import Answering, Found, sure
from knowledge_graph.client import Graph, GraphDown
from knowledge_graph.files import READERS
from knowledge_graph.migrations import migrate
from knowledge_graph.propagation import Follower
from knowledge_graph.retrieval import Question
from knowledge_graph.server import ServerError, serve
from privacy import KeyRingError
from settings import SHANGHAI
from storage import create_engine

TOGETHER = 512
"""Lines that are answered at once."""

START_SECONDS = 30.0

UNSURE = "我不确定"

NO_ANSWERS = "there are no answers in the graph: `make graph-sync` brings them / 图谱里还没有答案"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m knowledge_graph", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the embedded graph")
    commands.add_parser("migrate", help="bring the graph's constraints and indexes up to date")
    syncing = commands.add_parser("sync", help="bring the mall's goods and the shop's answers into the graph")
    syncing.add_argument("files", nargs="*", type=Path, metavar="FILE", help=f"also these: {', '.join(READERS)}")
    syncing.add_argument("--keep", action="store_true", help="go on, and bring over what changes, and how cards travel")
    training = commands.add_parser("train", help="learn how to find answers, if what that is learned from has changed")
    training.add_argument("--force", action="store_true", help="also if nothing has changed")
    commands.add_parser("learn", help="learn to find the answers that are in the graph; others do so when it is needed")
    asking = commands.add_parser("ask", help="answer questions")
    asking.add_argument("text", nargs="?", help="default: one a line from standard input")
    asking.add_argument("--file", type=Path, help="one a line from here")
    asking.add_argument("--json", action="store_true", help="an object a line")
    missing = commands.add_parser("gaps", help="what was asked and not answered, alike together, most asked first")
    missing.add_argument("--limit", type=int, default=30)
    missing.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for path in arguments.files if arguments.command == "sync" else ():
        if path.suffix.lower() not in READERS or not path.is_file():
            parser.error(f"{path}: not a file of {', '.join(READERS)}")
    try:
        if arguments.command == "serve":
            serve()
        elif arguments.command == "train":
            _train(arguments.force)
        elif arguments.command == "sync":
            sys.exit(_sync(arguments.keep, arguments.files))
        else:
            asyncio.run(_run(arguments))
            sys.stdout.flush()
    except BrokenPipeError:  # "| head" has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (GraphDown, ServerError, KeyRingError, OSError, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _train(force: bool) -> None:
    from knowledge_graph import preparing, sources  # the mall is read by these two commands alone

    _unwind()  # no half-made folder stays
    try:
        preparing.prepare(sources.LINES, sources.TOPICS, sources.house_facts(), force=force)
    except learning.LearningFailed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Answers are found as before / 答案检索保持不变", file=sys.stderr)
        raise


def _sync(keep: bool, more: Sequence[Path]) -> int:
    """0 where everything in the files is as it should be."""
    from sqlalchemy.exc import SQLAlchemyError

    from knowledge_graph import sources, sync

    async def run() -> bool:
        async with Graph.from_settings() as graph, sources.open_shop() as shop:
            if keep:
                events = create_engine(settings.database_url())
                await asyncio.gather(sync.Keeper(graph, shop).keep(), Follower(graph, events).keep())
            return await sync.sync(graph, shop, more)

    if keep:
        os.nice(10)  # the bot starts at the same time, and customers wait for it
    style = "%(asctime)s %(levelname)s %(name)s: %(message)s" if keep else "%(message)s"
    logging.basicConfig(level=logging.INFO, format=style, stream=sys.stdout)
    _unwind()
    try:
        return 0 if asyncio.run(run()) else 1
    except SQLAlchemyError as error:  # its words may quote what is stored
        sys.exit(f"The database does not answer, or `make seed` was not run: {type(error).__name__}")


def _unwind() -> None:
    """On Ctrl-C, which a shell ignores for what runs in the background, and on SIGTERM."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.default_int_handler)


async def _run(arguments: argparse.Namespace) -> None:
    async with _graph(start=arguments.command in ("ask", "gaps")) as graph:
        match arguments.command:
            case "migrate":
                applied = await migrate(graph)
                print(f"applied {', '.join(map(str, applied))}" if applied else "nothing to do")
            case "learn":
                os.nice(10)  # customers are answered meanwhile
                known = learning.subjects(await content.answers(graph))
                if len(known) < 2:
                    raise ValueError(NO_ANSWERS)
                print(learning.learn(known))
            case "ask":
                await _ask(graph, _lines(arguments), arguments.json)
            case "gaps":
                await _gaps(graph, arguments.limit, arguments.json)


@contextlib.asynccontextmanager
async def _graph(start: bool) -> AsyncIterator[Graph]:
    """The running one; the embedded one is started for as long as it is needed when the house stands still.

    Not for what the house itself runs: that might be quicker than the house that starts its graph again.
    """
    async with Graph.from_settings() as graph:
        if not start or not settings.graph_is_embedded() or await graph.ping():
            yield graph
            return
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "knowledge_graph", "serve"),
            cwd=settings.ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not await graph.ping():
                if server.returncode is not None or time.monotonic() > deadline:
                    raise GraphDown("the graph does not start; `python -m knowledge_graph serve` says why")
                await asyncio.sleep(0.1)
            yield graph
        finally:
            if server.returncode is None:
                server.send_signal(signal.SIGTERM)
            await server.wait()


def _lines(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.text is not None:
        yield arguments.text
    elif arguments.file:
        with arguments.file.open(encoding="utf-8-sig") as lines:
            yield from (line.rstrip("\r\n") for line in lines)
    else:
        yield from (line.rstrip("\r\n") for line in sys.stdin)


async def _ask(graph: Graph, lines: Iterable[str], as_json: bool) -> None:
    answering = Answering(graph)
    await answering.look()
    if not answering.ready:
        raise ValueError(NO_ANSWERS)
    rest = iter(lines)
    while some := list(islice(rest, TOGETHER)):
        for text, found in zip(some, answering.find([Question(line) for line in some]), strict=True):
            told = _told(text, found)
            print(json.dumps(told, ensure_ascii=False) if as_json else _said(told, found))


def _told(text: str, found: Sequence[Found]) -> dict[str, Any]:
    known = sure(found)
    return {
        "text": text,
        "answer": found[0].answer.text if known else UNSURE,
        "topic": found[0].answer.topic if found else None,
        "source": found[0].answer.id if known else None,
        "score": found[0].score if found else 0.0,
    }


def _said(told: dict[str, Any], found: Sequence[Found]) -> str:
    source = f"\n  来源：{found[0].answer.title}（{told['source']}，{told['score']:.0%}）" if told["source"] else ""
    return f"{told['answer']}{source}"


async def _gaps(graph: Graph, limit: int, as_json: bool) -> None:
    for group in await gaps.clusters(graph, limit):
        last = group.last_asked.astimezone(SHANGHAI)
        if as_json:
            one = {"count": group.count, "topic": group.topic, "last_asked": last.isoformat(), "texts": group.texts}
            print(json.dumps(one, ensure_ascii=False))
        else:
            others = f"  （还有：{' | '.join(group.texts[1:4])}）" if len(group.texts) > 1 else ""
            print(f"{group.count:4}  {last:%m-%d %H:%M}  {group.topic or '-':22} {group.texts[0]}{others}")


if __name__ == "__main__":
    main()
