"""Keeps the graph in step with the mall's goods and the shop's answers: ``python -m knowledge_graph sync``.

Answers are read from ``knowledge_graph/content`` and from the operator's own folder, ``DATA_DIR/knowledge``; more files
are checked and loaded besides, until the next sync. :class:`Keeper`, a part of the house, goes on: what changes in the
mall or in a file is in the graph some seconds later. What is wrong with a file is told in its log, in ``/healthz`` and
under ``/dashboard/gaps``, and holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Protocol

import settings
from knowledge_graph import catalogue, content, reports
from knowledge_graph.client import Graph, GraphDown
from knowledge_graph.entries import Fact, read_files
from knowledge_graph.files import files_in, named
from knowledge_graph.fitting import pairs_that_fit
from knowledge_graph.migrations import migrate
from knowledge_graph.products import Product

log = logging.getLogger(__name__)

CONTENT = Path(__file__).with_name("content")

KEEP_SECONDS = 3.0
"""A file is taken when it has not changed from one look to the next, so what is saved is in the graph within ten."""

AWAY_SECONDS = 1.0
"""While the graph does not answer: when the house starts, it takes a moment until it does."""

PRODUCTS_A_SECOND = 1000
"""A large catalogue is looked at less often, as by `mall_adapter.names`; files are not."""


@dataclass(frozen=True, slots=True)
class Goods:
    """What is sold; what it costs is not told."""

    products: Sequence[Product]
    substitutes: Mapping[str, Sequence[str]]  # for a product the ids of those that can stand in for it

    @property
    def version(self) -> int:
        """Another one as soon as there is something to write."""
        versions = tuple(product.version for product in self.products)
        return hash((versions, tuple((key, tuple(others)) for key, others in self.substitutes.items())))


class Shop(Protocol):
    """Where goods and numbers come from; whatever it raises is tried again."""

    async def goods(self) -> Goods | None:
        """None where there is no mall yet, which is not one that sells nothing."""

    async def facts(self) -> Mapping[str, Fact]:
        """What answers may mention and is written elsewhere: the mall's terms, the desk's hours."""


def files() -> list[Path]:
    return files_in(CONTENT) + own_files()


def own_files() -> list[Path]:
    """The operator's."""
    return files_in(settings.knowledge_dir())


async def sync_goods(graph: Graph, goods: Goods | None) -> None:
    if goods is None:
        log.warning("the mall has no products: the graph keeps its own / 商城没有商品，图谱保持不变")
        return
    done = await catalogue.sync(graph, goods.products, pairs_that_fit(goods.products), goods.substitutes)
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


async def sync(graph: Graph, shop: Shop, more: Sequence[Path] = ()) -> bool:
    """Everything once. Is everything in the files as it should be? Raises GraphDown."""
    await migrate(graph)
    await sync_goods(graph, await shop.goods())
    return await load_answers(graph, files(), await shop.facts(), more)


class Keeper:
    """Looks at the mall and the files, and brings what has changed since the last look into the graph."""

    def __init__(self, graph: Graph, shop: Shop) -> None:
        self._graph = graph
        self._shop = shop
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
        facts = await self._shop.facts()
        paths = await asyncio.to_thread(files)
        seen = facts, await asyncio.to_thread(_signature, paths)
        settled = seen == self._seen or self._files is None  # else somebody may be in the middle of saving it
        self._seen = seen
        if settled and (changed or seen != self._files):  # new goods are linked to what is said about them
            await load_answers(self._graph, paths, facts)
            self._files = seen

    async def _look_at_goods(self) -> bool:
        """Have they changed?"""
        goods = await self._shop.goods()
        self._goods_due = monotonic() + len(goods.products if goods else ()) / PRODUCTS_A_SECOND
        now = goods.version if goods else "none"
        if changed := now != self._goods:
            await sync_goods(self._graph, goods)
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
