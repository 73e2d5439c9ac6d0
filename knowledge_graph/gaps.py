"""What customers asked and the graph could not answer, counted for trainers.

The words are a customer's: they are sealed, and found again by a blind index.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

import encoder
from knowledge_graph.client import Graph
from knowledge_graph.text import cut
from privacy import blind_index
from privacy.cipher import seal, unseal
from privacy.keyring import current_ring

PLACE = b"gap.text"

ALIKE = 0.6
"""Similarity from which two questions are one need."""

CLUSTERED = 1000
"""The most asked; those that were asked once long ago do not matter."""


@dataclass(frozen=True, slots=True)
class Gap:
    text: str  # as it was asked the first time
    topic: str | None
    count: int
    last_asked: datetime


async def record(graph: Graph, text: str, topic: str | None, now: datetime | None = None) -> None:
    """Counts the question; with other punctuation, spaces or case it is the same one."""
    normal = "".join(character for character in text if character.isalnum()) or text
    await graph.write(
        "MERGE (n:Gap {id: $id}) ON CREATE SET n.text = $text, n.count = 0 "
        "SET n.count = n.count + 1, n.topic = $topic, n.last_asked = $now",
        id=blind_index(normal, "gap"),
        text=b64encode(seal(current_ring(), text.encode(), PLACE)).decode(),
        topic=topic,
        now=now or datetime.now(UTC),
    )


async def most_asked(graph: Graph, limit: int = 50) -> list[Gap]:
    rows = await graph.read(
        "MATCH (n:Gap) RETURN n.text AS text, n.topic AS topic, n.count AS count, n.last_asked AS last_asked "
        "ORDER BY count DESC, last_asked DESC LIMIT $limit",
        limit=limit,
    )
    return [Gap(**row | {"text": unseal(current_ring(), b64decode(row["text"]), PLACE).decode()}) for row in rows]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Questions that ask for the same, the most asked first."""

    texts: tuple[str, ...]
    topic: str | None
    count: int
    last_asked: datetime


async def clusters(graph: Graph, limit: int = 50) -> list[Cluster]:
    """The most asked first. Each question joins the first more often asked one that it is like."""
    found = await most_asked(graph, CLUSTERED)
    return (await asyncio.to_thread(_cluster, found))[:limit]


def _cluster(found: Sequence[Gap]) -> list[Cluster]:
    vectors = _vectors([gap.text for gap in found])
    alike = (vectors @ vectors.T >= ALIKE).tolist()
    groups: list[list[int]] = []
    for place in range(len(found)):
        if (group := next((group for group in groups if alike[place][group[0]]), None)) is None:
            groups.append([place])
        else:
            group.append(place)
    clustered = [
        Cluster(
            tuple(found[place].text for place in group),
            found[group[0]].topic,
            sum(found[place].count for place in group),
            max(found[place].last_asked for place in group),
        )
        for group in groups
    ]
    return sorted(clustered, key=lambda one: (-one.count, -one.last_asked.timestamp()))


def _vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """By meaning; where there is no encoder, by their characters."""
    if (meaning := encoder.load()) is not None:
        return meaning.encode(texts)
    cuts = [set(cut(text)) for text in texts]
    columns = {token: place for place, token in enumerate(sorted(set().union(*cuts)))}
    vectors = np.zeros((len(texts), len(columns)), dtype=np.float32)
    for row, tokens in zip(vectors, cuts, strict=True):
        row[[columns[token] for token in tokens]] = 1 / max(1, len(tokens)) ** 0.5
    return vectors
