"""Prints how long loading and three hands' reach take, embedded and on Neo4j: `python -m tests.bench.graph`.

Both servers get the same products and the same forwards: few people forward much and most forward little, as in life.
They run one after the other, because the machine is small.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from knowledge_graph import Graph, Product, catalogue, products, spread
from knowledge_graph.fitting import nearest_in_price
from knowledge_graph.migrations import migrate
from knowledge_graph.spread import Forward
from tests.knowledge_graph.servers import Embedded, Neo4j, NoNeo4j, Server, start

NOON = datetime(2026, 3, 11, 4, 0, tzinfo=UTC)


def forwards(number: int) -> Iterator[Forward]:
    """Three for each user on average; a source is drawn from a Pareto distribution."""
    chance, users = random.Random(1), number // 3  # noqa: S311 (the same every time)
    for place in range(number):
        source = min(int((chance.paretovariate(1.2) - 1) * users / 20), users - 1)
        target = chance.randrange(users)
        yield Forward(
            f"U{source}", f"U{target}", f"C{place % 50}", "wechat", NOON + timedelta(seconds=place), 1 + place % 4
        )


def goods(number: int) -> Iterator[Product]:
    chance = random.Random(2)  # noqa: S311
    for place in range(number):
        attributes = {f"属性{name}": f"{chance.randrange(50)} cm" for name in range(6)}
        brand, shelf = chance.randrange(max(1, number // 200)), chance.randrange(max(1, number // 500))
        yield Product(
            f"P{place}", f"商品 {place}", f"品牌{brand}", f"类目{shelf}", f"S{brand % 300}", f"供应商{brand % 300}",
            None, attributes,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Offer:
    id: str
    category: str
    price_min_cents: int


def substitutes(number: int) -> dict[str, tuple[str, ...]]:
    chance = random.Random(4)  # noqa: S311
    return nearest_in_price(Offer(one.id, one.category, chance.randrange(1000, 500000)) for one in goods(number))


async def measure(server: Server, options: argparse.Namespace) -> dict[str, float]:
    results: dict[str, float] = {}
    async with server.graph(seconds=60) as graph:
        await migrate(graph)
        near = substitutes(options.products)
        begin = time.monotonic()
        await catalogue.sync(graph, goods(options.products), substitutes=near)
        results["products: first sync (s)"] = time.monotonic() - begin
        begin = time.monotonic()
        await catalogue.sync(graph, goods(options.products), substitutes=near)
        results["products: nothing changed (s)"] = time.monotonic() - begin
        begin = time.monotonic()
        await spread.load(graph, forwards(options.edges))
        results["forwards: loading (s)"] = time.monotonic() - begin
        results |= await ask(graph, options)
    assert server.process
    results["resident afterwards (MiB)"] = psutil.Process(server.process.pid).memory_info().rss / 2**20
    return results


async def ask(graph: Graph, options: argparse.Namespace) -> dict[str, float]:
    chance = random.Random(3)  # noqa: S311
    users = options.edges // 3
    senders = [one.source for one in forwards(min(options.edges, 20_000))]
    shelves = defaultdict[str, list[str]](list)
    for one in goods(options.products):
        shelves[one.category].append(one.id)
    reached, spent, found = [], list[float](), list[float]()
    for place in range(options.queries + 20):
        begin = time.perf_counter()
        people = await spread.reach(graph, chance.choice(senders) if place % 2 else f"U{chance.randrange(users)}")
        if place >= 20:  # warm by then
            spent.append((time.perf_counter() - begin) * 1000)
            reached.append(people)
        shelf = chance.choice([*shelves.values()])
        begin = time.perf_counter()
        await products.find(graph, shelf, words=["7cm"])
        if place >= 20:
            found.append((time.perf_counter() - begin) * 1000)
    return {
        "people reached, median": statistics.median(reached),
        "people reached, most": max(reached),
        "reach by three hands, p50 (ms)": percentile(spent, 50),
        "reach by three hands, p95 (ms)": percentile(spent, 95),
        "products of a shelf by words, p50 (ms)": percentile(found, 50),
        "products of a shelf by words, p95 (ms)": percentile(found, 95),
    }


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.graph", description=__doc__)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=400)
    options = parser.parse_args()
    columns: dict[str, dict[str, float]] = {}
    for kind in (Embedded, Neo4j):
        with tempfile.TemporaryDirectory() as folder:
            try:
                server = start(kind, Path(folder))
            except NoNeo4j as error:
                print(f"no Neo4j: {error}")
                continue
            try:
                columns[kind.name] = asyncio.run(measure(server, options))
            finally:
                server.stop()
    print(f"{options.edges} forwards, {options.products} products, {os.cpu_count()} cores\n")
    print(f"{'':38}" + "".join(f"{name:>12}" for name in columns))
    for title in next(iter(columns.values())):
        print(f"{title:38}" + "".join(f"{column[title]:12.1f}" for column in columns.values()))


if __name__ == "__main__":
    main()
