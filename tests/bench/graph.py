"""Prints how long goods and the ways of cards take, embedded and on Neo4j: `python -m tests.bench.graph`.

Both servers get the same products and the same forwards (:mod:`tests.bench.ways`), in bulk; what comes after these
comes by the follower. They run one after the other, because the machine is small. An empty question beside the others
tells what the way there and back costs; compare with it where other work shares the machine.
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
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from knowledge_graph import Graph, Product, catalogue, products, propagation
from knowledge_graph.fitting import nearest_in_price
from knowledge_graph.migrations import migrate
from knowledge_graph.propagation import Follower
from knowledge_graph.propagation.events import Happened
from knowledge_graph.propagation.following import AT_ONCE
from storage import create_engine
from tests.bench.ways import Ways, load
from tests.knowledge_graph.servers import Embedded, Neo4j, NoNeo4j, Server, start

FOLLOWED = 2000
"""Events that come by the follower."""


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


async def measure(server: Server, ways: Ways, options: argparse.Namespace) -> dict[str, float]:
    results: dict[str, float] = {}
    async with server.graph(seconds=600) as graph:
        await migrate(graph)
        near = substitutes(options.products)
        begin = time.monotonic()
        await catalogue.sync(graph, goods(options.products), substitutes=near)
        results["products: first sync (s)"] = time.monotonic() - begin
        begin = time.monotonic()
        await catalogue.sync(graph, goods(options.products), substitutes=near)
        results["products: nothing changed (s)"] = time.monotonic() - begin
        results |= await follow(graph, ways)
        results |= await ask(graph, ways, options)
    assert server.process
    results["resident afterwards (MiB)"] = psutil.Process(server.process.pid).memory_info().rss / 2**20
    return results


def later(ways: Ways) -> list[Happened]:
    """Forwards that come when all others are there."""
    told = islice(Ways(FOLLOWED * 2, ways.people, ways.cards).events(), ways.cards, ways.cards + FOLLOWED)
    return [
        Happened(one.kind, one.subject, one.at, dict(one.data) | {"forward_id": ways.forwards + number})
        for number, one in enumerate(told, 1)
        if one.kind == "card.forwarded"
    ]


async def follow(graph: Graph, ways: Ways) -> dict[str, float]:
    """As the mall's events bring them in, a batch after the other."""
    follower, rest = Follower(graph, create_engine("sqlite+aiosqlite://")), later(ways)
    begin = time.monotonic()
    for place in range(0, len(rest), AT_ONCE):
        await follower.write(rest[place : place + AT_ONCE], 0)
    return {"follower (events/s)": len(rest) / (time.monotonic() - begin)}


async def ask(graph: Graph, ways: Ways, options: argparse.Namespace) -> dict[str, float]:
    chance = random.Random(3)  # noqa: S311
    shelves = defaultdict[str, list[str]](list)
    for product in goods(options.products):
        shelves[product.category].append(product.id)
    held = [(card, *copy) for card, copies in ways.held.items() for copy in copies[1:]]
    greatest = max(ways.held, key=lambda card: len(ways.held[card]))
    follower = Follower(graph, create_engine("sqlite+aiosqlite://"))
    spent = defaultdict[str, list[float]](list)

    async def timed(name: str, asking: Awaitable[Any]) -> Any:
        begin = time.perf_counter()
        answer = await asking
        if place >= 20:  # warm by then
            spent[name].append((time.perf_counter() - begin) * 1000)
        return answer

    rest: Sequence[Happened] = later(ways)
    for place in range(options.queries + 20):
        card, person, depth = chance.choice(held)
        await timed("nothing, there and back", graph.read("RETURN 1 AS one"))
        way = await timed("chain from a lead back to the card", propagation.chain(graph, card, person))
        if len(way) != depth + 1:
            raise RuntimeError("a way is not the one that it came")
        await timed("path of a card", propagation.path(graph, card))
        await timed("path of the card that went furthest", propagation.path(graph, greatest))
        await timed("leaderboard of a card", propagation.carriers(graph, greatest))
        await timed("leaderboard of all cards", propagation.carriers(graph, None))
        await timed("reach of a card by level", propagation.reach(graph, [greatest]))
        one = rest[place % len(rest)]
        new = Happened(one.kind, one.subject, one.at, dict(one.data) | {"forward_id": 2 * ways.forwards + place})
        await timed("the follower brings one forward in", follower.write([new], 0))
        if shelves:
            shelf = chance.choice([*shelves.values()])
            await timed("products of a shelf by words", products.find(graph, shelf, words=["7cm"]))
    results = dict[str, float]()
    for name, values in spent.items():
        results |= {f"{name}, p50 (ms)": percentile(values, 50), f"{name}, p95 (ms)": percentile(values, 95)}
    return results


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


async def prepare(server: Server) -> None:
    """The indexes, before there is anything to be put into them."""
    if isinstance(server, Embedded):  # Neo4j's own tool fills an empty folder alone
        async with server.graph(seconds=600) as graph:
            await migrate(graph)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.graph", description=__doc__)
    parser.add_argument("--forwards", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=400)
    options = parser.parse_args()
    ways = Ways(options.forwards, options.people)
    columns: dict[str, dict[str, float]] = {}
    for kind in (Embedded, Neo4j):
        with tempfile.TemporaryDirectory() as folder:
            try:
                server = start(kind, Path(folder))
            except NoNeo4j as error:
                print(f"no Neo4j: {error}")
                continue
            try:
                asyncio.run(prepare(server))
                server.stop()
                begin = time.monotonic()
                load(server, ways)
                loaded = time.monotonic() - begin
                server.start()
                columns[kind.name] = asyncio.run(measure(server, ways, options)) | {"bulk (s)": loaded}
            finally:
                server.stop()
    print(
        f"{options.forwards} forwards over {options.people} people, {options.products} products, "
        f"{os.cpu_count()} cores\n"
    )
    print(f"{'':46}" + "".join(f"{name:>12}" for name in columns))
    for title in next(iter(columns.values())):
        print(f"{title:46}" + "".join(f"{column[title]:12.1f}" for column in columns.values()))


if __name__ == "__main__":
    main()
