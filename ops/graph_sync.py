"""Brings the mall's goods and the shop's answers into the graph: `python -m ops.graph_sync`, or `make graph-sync`.

Answers are read from `knowledge_graph/content` and from the operator's own folder, `DATA_DIR/knowledge`; files named on
the command line are checked and loaded besides, until the next sync. With `--keep`, a part of the house, it goes on:
what changes in the mall or in a file is in the graph some seconds later. What is wrong with a file is told in its log,
in `/healthz` and under `/dashboard/gaps`, and holds up nothing but itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import time
from pathlib import Path
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from knowledge_graph import (
    READERS,
    Fact,
    Graph,
    GraphDown,
    Product,
    catalogue,
    content,
    files_in,
    migrate,
    named,
    pairs_that_fit,
    read_files,
    reports,
)
from mall_adapter import BrokenRules, house_policy, read_catalogue
from mall_adapter.demo_mark import was_demo
from storage import create_engine

log = logging.getLogger("graph_sync")

CONTENT = settings.ROOT / "knowledge_graph" / "content"

KEEP_SECONDS = 3.0
"""A file is taken when it has not changed from one look to the next, so what is saved is in the graph within ten."""

AWAY_SECONDS = 1.0
"""While the graph does not answer: when the house starts, it takes a moment until it does."""

PRODUCTS_A_SECOND = 1000
"""A large catalogue is looked at less often, as by `mall_adapter.names`; files are not."""


def facts() -> dict[str, Fact]:
    """What answers may mention and is written elsewhere: the limits of the after-sales rules, and the desk's hours."""
    limits = house_policy().limits
    sums = {name: cents for name, cents in limits.items() if name.endswith("_cents")}
    yuan: dict[str, Fact] = {
        f"{name.removesuffix('_cents')}_yuan": f"{cents / 100:.2f}" if cents % 100 else cents // 100
        for name, cents in sums.items()
    }
    opens, closes = settings.desk_hours()
    days_and_pieces = {name: value for name, value in limits.items() if name not in sums}
    return days_and_pieces | yuan | {"desk_hours": f"{_clock(opens)}–{_clock(closes)}"}


def _clock(at: time) -> str:
    return "24:00" if at == time.max else f"{at.hour}:{at:%M}"


def files() -> list[Path]:
    return files_in(CONTENT) + own_files()


def own_files() -> list[Path]:
    """The operator's."""
    return files_in(settings.knowledge_dir())


async def goods(engine: AsyncEngine) -> list[Product]:
    names = [field.name for field in fields(Product)]
    return [Product(**{name: getattr(one, name) for name in names}) for one in await read_catalogue(engine)]


async def sync_goods(graph: Graph, products: Sequence[Product], engine: AsyncEngine) -> None:
    if not products and not await was_demo(
        engine
    ):  # more likely a mall that is not there yet than one that sells nothing
        log.warning("the mall has no products: the graph keeps its own / 商城没有商品，图谱保持不变")
        return
    done = await catalogue.sync(graph, products, pairs_that_fit(products))
    log.info(
        "products / 商品: %d written, %d unchanged, %d deleted, %d linked",
        *(done.written, done.unchanged, done.deleted, done.linked),
    )


async def load_answers(
    graph: Graph, paths: Sequence[Path], known: Mapping[str, Fact], more: Sequence[Path] = ()
) -> bool:
    """Is everything in the files as it should be? Of ``more``, which are only tried, nothing is reported."""
    found = await asyncio.to_thread(read_files, [*paths, *more], known)
    done = await content.load(graph, found)
    log.info("answers / 答案: %d written, %d unchanged, %d deleted", done.written, done.unchanged, done.deleted)
    for problem in found.problems:
        log.warning("%s: %s", "left out / 未导入" if problem.left_out else "have a look / 请看一下", problem)
    if done.kept:
        log.warning("%d answers of these files stay as they were until they are mended or removed", done.kept)
        log.warning("修好或删除这些文件之前，其中 %d 条答案保持原样", done.kept)
    for link in done.unlinked:
        log.warning("no such goods / 目录里没有: %s", link)
    tried = set(map(named, more))
    report(reports.Report(tuple(problem for problem in found.problems if problem.file not in tried)))
    return not any(problem.left_out for problem in found.problems)


def report(what: reports.Report) -> None:
    try:
        reports.write(what)
    except OSError as error:  # the health of the data folder says so
        log.warning("not reported / 没有写下: %s", error.strerror)


async def sync(graph: Graph, engine: AsyncEngine, more: Sequence[Path] = ()) -> bool:
    """Everything once. Is everything in the files as it should be? Raises GraphDown."""
    await migrate(graph)
    await sync_goods(graph, await goods(engine), engine)
    return await load_answers(graph, files(), facts(), more)


class Keeper:
    """Looks at the mall and the files, and brings what has changed since the last look into the graph."""

    def __init__(self, graph: Graph, engine: AsyncEngine) -> None:
        self._graph = graph
        self._engine = engine
        self._seen: object = None
        self._forget()

    def _forget(self) -> None:
        """The graph that comes back may be another one."""
        self._migrated = False
        self._goods: object = None
        self._goods_due = 0.0
        self._files: object = None

    async def keep(self, seconds: float = KEEP_SECONDS) -> None:
        """Until it is cancelled. What goes wrong is told once, and tried again."""
        told = ""
        while True:
            trouble, pause = "", seconds
            try:
                await self.look()
            except GraphDown as error:  # its health says so
                trouble, pause = f"the graph is away / 图数据库暂时不可用: {error}", AWAY_SECONDS
            except Exception as error:  # whatever it is, it may be over at the next look; its words may quote customers
                trouble = f"没有同步，会自动再试 / not synced, it is tried again: {type(error).__name__}"
                if trouble != told:
                    log.warning("%s", "".join(traceback.format_tb(error.__traceback__)))
                report(replace(reports.read(), trouble=trouble))
            if trouble:
                self._forget()
            if trouble != told:
                log.warning(trouble) if trouble else log.info("the graph is in step again / 图谱已恢复同步")
                told = trouble
            await asyncio.sleep(pause)

    async def look(self) -> None:
        if not self._migrated:
            await migrate(self._graph)
            self._migrated = True
        changed = monotonic() >= self._goods_due and await self._look_at_goods()
        paths = await asyncio.to_thread(files)
        seen = await asyncio.to_thread(_signature, [*paths, settings.rules_file()])
        settled = seen == self._seen or self._files is None  # else somebody may be in the middle of saving it
        self._seen = seen
        if settled and (changed or seen != self._files):  # new goods are linked to what is said about them
            await load_answers(self._graph, paths, await asyncio.to_thread(facts))
            self._files = seen

    async def _look_at_goods(self) -> bool:
        """Have they changed?"""
        products = await goods(self._engine)
        self._goods_due = monotonic() + len(products) / PRODUCTS_A_SECOND
        now = hash(tuple(product.version for product in products))
        if changed := now != self._goods:
            await sync_goods(self._graph, products, self._engine)
            self._goods = now
        return changed


def _signature(paths: Sequence[Path]) -> list[object]:
    return [_state(path) for path in paths]


def _state(path: Path) -> tuple[object, ...]:
    """Another one as soon as reading the file may give something else."""
    try:
        stat = path.stat()
    except OSError as error:
        return path, error.errno
    return path, stat.st_ino, stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


async def _run(keep: bool, more: Sequence[Path]) -> bool:
    engine = create_engine(settings.database_url())
    try:
        async with Graph.from_settings() as graph:
            if keep:
                await Keeper(graph, engine).keep()
            return await sync(graph, engine, more)
    finally:
        await engine.dispose()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.graph_sync", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help=f"also these: {', '.join(READERS)}")
    parser.add_argument("--keep", action="store_true", help="go on, and bring over what changes")
    arguments = parser.parse_args()
    for path in arguments.files:
        if path.suffix.lower() not in READERS or not path.is_file():
            parser.error(f"{path}: not a file of {', '.join(READERS)}")
    if arguments.keep:
        os.nice(10)  # the bot starts at the same time, and customers wait for it
        style = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    else:
        style = "%(message)s"
    logging.basicConfig(level=logging.INFO, format=style, stream=sys.stdout)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores for what runs in the background
    try:
        with contextlib.suppress(KeyboardInterrupt):
            return 0 if asyncio.run(_run(arguments.keep, arguments.files)) else 1
    except (GraphDown, BrokenRules, ValueError, OSError) as error:
        sys.exit(str(error))
    except SQLAlchemyError as error:
        sys.exit(f"The database does not answer, or `make seed` was not run: {type(error).__name__}")
    return 130


if __name__ == "__main__":
    sys.exit(main())
