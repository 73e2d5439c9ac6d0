"""Prints how long goods and the ways of cards take, embedded and on Neo4j: `python -m tests.bench.graph`.

Both servers get the same products and the same forwards, of twenty cards for each salesperson: few people forward much
and most forward little, as in life. They run one after the other, because the machine is small.
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
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from datetime import timedelta
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
from tests.knowledge_graph.servers import Embedded, Neo4j, NoNeo4j, Server, start
from tests.knowledge_graph.ways import NOON, made

SALES = 100
CARDS = 20
"""Of each of them."""


def ways(number: int) -> Iterator[Happened]:
    """Forwards among a tenth as many people. Each card goes its own way: whoever has it passes it on, those who have
    had it longest to most."""
    chance, people = random.Random(1), number // 10  # noqa: S311 (the same every time)
    cards = SALES * CARDS
    for card in range(cards):
        yield made(f"C{card}", f"S{card // CARDS}")
    holders: dict[int, list[str]] = defaultdict(list)
    for place in range(number):
        card = place % cards
        has = holders[card]
        near = min(int((chance.paretovariate(1.2) - 1) * (len(has) + 1) / 20), len(has))
        sharer = has[near - 1] if near else f"S{card // CARDS}"
        opener = f"U{chance.randrange(people)}"
        if opener != sharer:
            has.append(opener)
            told = {"forward_id": place, "card_id": f"C{card}", "sharer": sharer, "opener": opener}
            told |= {"channel": "wechat", "depth": 1 + near % 4, "new_person": True, "signals": {}}
            yield Happened("card.forwarded", f"card:C{card}", NOON + timedelta(seconds=place), told)


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
        await load(graph, options.edges)
        results["forwards: loading (s)"] = time.monotonic() - begin
        results |= await ask(graph, options)
    assert server.process
    results["resident afterwards (MiB)"] = psutil.Process(server.process.pid).memory_info().rss / 2**20
    return results


async def load(graph: Graph, edges: int) -> None:
    """As the mall's events bring them in, a batch after the other."""
    follower = Follower(graph, create_engine("sqlite+aiosqlite://"))
    rest = ways(edges)
    while batch := list(islice(rest, AT_ONCE)):
        await follower.write(batch, 0)


async def ask(graph: Graph, options: argparse.Namespace) -> dict[str, float]:
    chance = random.Random(3)  # noqa: S311
    shelves = defaultdict[str, list[str]](list)
    for product in goods(options.products):
        shelves[product.category].append(product.id)
    told = [one for one in islice(ways(options.edges), 200_000) if one.kind == "card.forwarded"]
    follower = Follower(graph, create_engine("sqlite+aiosqlite://"))
    spent, hands = defaultdict[str, list[float]](list), list[int]()

    async def timed(name: str, asking: Awaitable[Any]) -> Any:
        begin = time.perf_counter()
        answer = await asking
        if place >= 20:  # warm by then
            spent[name].append((time.perf_counter() - begin) * 1000)
        return answer

    for place in range(options.queries + 20):
        one = chance.choice(told)
        card, person = one.data["card_id"], one.data["opener"]
        way = await timed("path from a lead back to the card", propagation.chain(graph, card, person))
        hands.append(len(way) - 1)
        await timed("path of three levels", propagation.path(graph, card))
        salesperson = int(card[1:]) // CARDS
        cards = [f"C{salesperson * CARDS + number}" for number in range(CARDS)]
        await timed("leaderboard of a salesperson", propagation.carriers(graph, cards))
        await timed("reach of a salesperson by level", propagation.reach(graph, cards))
        new = Happened(one.kind, one.subject, one.at, dict(one.data) | {"forward_id": options.edges + place})
        await timed("recording one forward", follower.write([new], 0))
        await timed(
            "products of a shelf by words", products.find(graph, chance.choice([*shelves.values()]), words=["7cm"])
        )
    results = {"hands of a path, most": float(max(hands))}
    for name, values in spent.items():
        results |= {f"{name}, p50 (ms)": percentile(values, 50), f"{name}, p95 (ms)": percentile(values, 95)}
    return results


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
    print(f"{'':46}" + "".join(f"{name:>12}" for name in columns))
    for title in next(iter(columns.values())):
        print(f"{title:46}" + "".join(f"{column[title]:12.1f}" for column in columns.values()))


if __name__ == "__main__":
    main()
