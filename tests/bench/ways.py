"""Forwards as a large shop may have them, and a quick way to put them into either graph.

What the bulk way writes is what :class:`~knowledge_graph.propagation.Follower` makes of the same events, but for cards'
makings and for leads' questions, which it has none of.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import settings
from knowledge_graph.propagation.events import Happened, moment
from tests.knowledge_graph.servers import JARS, Embedded, Server
from tests.knowledge_graph.ways import NOON, bought, made

Table = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass
class Ways:
    """``cards`` of as many salespeople among ``people``: a few cards go far, a few of whoever has one pass it on to
    many and most to nobody, and one in fifty who opens one buys."""

    forwards: int = 1_000_000
    people: int = 100_000
    cards: int = 100
    held: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def events(self) -> Iterator[Happened]:
        chance = random.Random(1)  # noqa: S311 (the same every time)
        names = [f"C{number}" for number in range(self.cards)]
        for number, card in enumerate(names):
            yield made(card, f"S{number}")
        self.held = {card: [(f"S{number}", 0)] for number, card in enumerate(names)}
        ranks: dict[str, dict[str, int]] = {card: {f"S{number}": 0} for number, card in enumerate(names)}
        which = chance.choices(names, [1 / (place + 3) for place in range(self.cards)], k=self.forwards)
        for number, card in enumerate(which, 1):
            has, rank = self.held[card], ranks[card]
            place = min(int((chance.paretovariate(0.7) - 1) * 3), len(has) - 1)
            sharer, depth = has[place]
            opener = f"customer:U{int(self.people * chance.random() ** 1.5)}"
            if rank.get(opener, len(has)) <= place:
                opener = f"customer:U{chance.randrange(self.people)}"
                if rank.get(opener, len(has)) <= place:
                    continue
            if opener not in rank:
                rank[opener] = len(has)
                has.append((opener, depth + 1))
            told: dict[str, Any] = {"forward_id": number, "card_id": card, "sharer": sharer, "opener": opener}
            told |= {"channel": "wechat", "depth": depth + 1, "new_person": True, "signals": {}}
            yield Happened("card.forwarded", f"card:{card}", NOON + timedelta(seconds=number), told)
            if chance.random() < 0.02:
                yield bought(card, opener, number, f"ORD{number}", depth + 1)


def tables(events: Iterable[Happened]) -> tuple[Table, dict[str, list[tuple[str, str, dict[str, Any]]]]]:
    """Nodes by label, and edges by type, from and to the ids of nodes ("User U1")."""
    users, cards, levels = dict[str, dict[str, Any]](), dict[str, dict[str, Any]](), dict[str, dict[str, Any]]()
    copies: dict[str, dict[str, Any]] = {}
    people, edges = Counter[str](), dict[str, list[tuple[str, str, dict[str, Any]]]]()
    kinds = ("OWNS", "HOLDS", "FROM", "FORWARDED", "CONVERTED", "IS")
    edges = {kind: [] for kind in kinds}
    leads, sales = dict[str, dict[str, Any]](), dict[str, dict[str, Any]]()

    def user(name: str) -> None:
        if name not in users:
            users[name] = {"id": name, "brought": 0}

    def copy(card: str, person: str, **more: Any) -> None:
        start = {"card": card, "person": person, "brought": 0, "bought": 0, "orders": 0}
        copies[f"{card} {person}"] = {"id": f"{card} {person}"} | start | more
        edges["HOLDS"].append((f"User {person}", f"Copy {card} {person}", {}))

    for one in events:
        told, card, at = one.data, one.data["card_id"], moment(one.at)
        if one.kind == "card.made":
            owner = told["person"]
            user(owner)
            cards[card] = {"id": card, "owner": owner, "orders": 0, "cents": 0}
            sales[owner] = {"id": owner}
            edges["OWNS"].append((f"User {owner}", f"Card {card}", {}))
            edges["IS"].append((f"User {owner}", f"Sales {owner}", {}))
            copy(card, owner, by=0, depth=0, at=at)
        elif one.kind == "card.forwarded":
            sharer, opener, depth = told["sharer"], told["opener"], told["depth"]
            user(opener)
            way = {"id": told["forward_id"], "card": card, "channel": told["channel"], "depth": depth, "time": one.at}
            edges["FORWARDED"].append((f"User {sharer}", f"User {opener}", way))
            if opener not in leads:
                leads[opener] = {"id": opener, "stage": "awareness"}
                edges["IS"].append((f"User {opener}", f"Lead {opener}", {}))
            if f"{card} {opener}" in copies:
                continue
            parent = copies[f"{card} {sharer}"]
            first = {"by": told["forward_id"], "source": sharer, "depth": depth, "channel": told["channel"], "at": at}
            copy(card, opener, **first, waited=at - parent["at"], lead=f"{card} awareness")
            edges["FROM"].append((f"Copy {card} {opener}", f"Copy {card} {sharer}", {}))
            people[f"{card} {depth}"] += 1
            levels[f"{card} {depth}"] = {"id": f"{card} {depth}", "card": card, "depth": depth}
            parent["brought"] += 1
            users[sharer]["brought"] += parent["depth"] > 0
        else:
            order = {"id": told["conversion_id"], "order": told["order_id"], "cents": told["paid_cents"]}
            order |= {"depth": told["depth"], "channel": told["channel"], "date": one.at, "counted": True}
            edges["CONVERTED"].append((f"User {told['person']}", f"Card {card}", order))
            cards[card]["orders"] += 1
            cards[card]["cents"] += told["paid_cents"]
            bought_by = copies[f"{card} {told['person']}"]
            bought_by["orders"] += 1
            copies[f"{card} {bought_by['source']}"]["bought"] += 1
    for each in copies.values():
        if each["depth"]:
            side, weight = "near" if each["depth"] <= 3 else "deep", each["brought"] + 5 * each["orders"]
            each["shelf"] = f"{each['card']} {side} {weight.bit_length()}"
    for each in users.values():
        if each["brought"]:
            each["shelf"] = each["brought"].bit_length()
    for name, level in levels.items():
        level["people"] = people[name]
    found = {"User": users, "Card": cards, "Copy": copies, "Level": levels, "Lead": leads, "Sales": sales}
    return {label: list(rows.values()) for label, rows in found.items()}, edges


def load(server: Server, ways: Ways) -> None:
    """Into a server that stands still and has its indexes."""
    nodes, edges = tables(ways.events())
    (_import_embedded if isinstance(server, Embedded) else _import_neo4j)(server.folder, nodes, edges)


def _import_neo4j(
    folder: Path, nodes: Table, edges: Mapping[str, Sequence[tuple[str, str, Mapping[str, Any]]]]
) -> None:
    """By ``neo4j-admin database import``."""
    types = {int: "long", bool: "boolean"}
    arguments = []
    for label, rows in nodes.items():
        columns = {name: types.get(type(value), "string") for row in rows for name, value in row.items()}
        with (folder / f"{label}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow([":ID", *(f"{name}:{kind}" for name, kind in columns.items())])
            table.writerows([f"{label} {row['id']}", *(row.get(name) for name in columns)] for row in rows)
        arguments.append(f"--nodes={label}={folder / label}.csv")
    for kind, ends in edges.items():
        named = {name: types.get(type(value), "string") for name, value in (ends[0][2] if ends else {}).items()}
        named |= {name: "datetime" for name in ("time", "date") if name in named}
        with (folder / f"{kind}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow([":START_ID", ":END_ID", *(f"{name}:{type_}" for name, type_ in named.items())])
            for start, end, told in ends:
                values = (told[name].isoformat() if name in ("time", "date") else told[name] for name in named)
                table.writerow([start, end, *(str(one).lower() if one is True else one for one in values)])
        arguments.append(f"--relationships={kind}={folder / kind}.csv")
    (folder / "conf").mkdir(exist_ok=True)
    home = os.environ | {"NEO4J_HOME": str(folder), "NEO4J_CONF": str(folder / "conf")}
    tool = ["java", "-Xmx2g", "-cp", f"{JARS}/*", "org.neo4j.cli.AdminTool", "database", "import", "full", "neo4j"]
    subprocess.run([*tool, "--overwrite-destination", *arguments], check=True, env=home, capture_output=True)


def _import_embedded(
    folder: Path, nodes: Table, edges: Mapping[str, Sequence[tuple[str, str, Mapping[str, Any]]]]
) -> None:
    """By ArcadeDB's own batches, in a process of its own: a JVM does not let go of its files before it ends."""
    with (folder / "bulk.json").open("w") as file:
        json.dump([nodes, edges], file, default=lambda at: at.isoformat())
    command = [sys.executable, "-m", "tests.bench.ways", str(folder)]
    subprocess.run(command, check=True, cwd=settings.ROOT, capture_output=True)
    (folder / "bulk.json").unlink()


def _fill(folder: Path) -> None:
    os.chdir(folder)  # where the JVM writes ./log
    from arcadedb_embedded.core import DatabaseFactory

    from knowledge_graph.server import DATABASE

    nodes, edges = json.loads((folder / "bulk.json").read_text())
    (place,) = folder.glob(f"**/databases/{DATABASE}")
    with DatabaseFactory(str(place), {"heap_size": "3g"}).open() as database:
        for kind in edges:
            database.command("sql", f"CREATE EDGE TYPE `{kind}` IF NOT EXISTS")
        for label in nodes:
            database.command("sql", f"CREATE VERTEX TYPE `{label}` IF NOT EXISTS")
        places: dict[str, str] = {}
        with database.graph_batch() as batch:
            for label, rows in nodes.items():
                found = batch.create_vertices(label, rows)
                places |= {f"{label} {row['id']}": rid for row, rid in zip(rows, found, strict=True)}
            for kind, ends in edges.items():
                told = [one for _, _, one in ends]
                sources, targets = ([places[one[side]] for one in ends] for side in (0, 1))
                batch.new_edges(sources, kind, targets, told if any(told) else None)
    os._exit(0)


if __name__ == "__main__":
    _fill(Path(sys.argv[1]))
