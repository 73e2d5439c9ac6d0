"""The held-out questions, and how well a retriever answers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from knowledge_graph.answering import sure
from knowledge_graph.retrieval import Question, Retriever

_FILE = yaml.safe_load((Path(__file__).parent / "heldout.yml").read_text("utf-8"))

ANSWERABLE: list[tuple[str, tuple[str, ...]]] = [
    (line["ask"], (line["id"],) if isinstance(line["id"], str) else tuple(line["id"])) for line in _FILE["answerable"]
]
"""Questions, and the answers that are right."""

NEAR: list[str] = _FILE["unanswerable"]["near"]
"""What a shop is asked, too, but this one has no answer for."""

FAR: list[str] = _FILE["unanswerable"]["far"]

BINS = 15


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares; those of ``top_1`` to ``right_and_answered`` among the answerable."""

    top_1: float
    top_3: float
    answered: float
    right_and_answered: float
    abstains_near: float
    abstains_far: float
    abstains: float
    ece: float


def measure(retriever: Retriever) -> Figures:
    hits = retriever.find([Question(ask) for ask, _ in ANSWERABLE])
    none = retriever.find([Question(ask) for ask in (*NEAR, *FAR)])
    right = np.array([one[0].id in ids for one, (_, ids) in zip(hits, ANSWERABLE, strict=True)])
    among = [any(hit.id in ids for hit in one) for one, (_, ids) in zip(hits, ANSWERABLE, strict=True)]
    scores, others = (np.array([one[0].score for one in found]) for found in (hits, none))
    answered, unsure = np.array([sure(one) for one in hits]), np.array([not sure(one) for one in none])
    return Figures(
        top_1=float(right.mean()),
        top_3=float(np.mean(among)),
        answered=float(answered.mean()),
        right_and_answered=float((right & answered).mean()),
        abstains_near=float(unsure[: len(NEAR)].mean()),
        abstains_far=float(unsure[len(NEAR) :].mean()),
        abstains=float(unsure.mean()),
        ece=_calibration_error([*scores, *others], [*right, *np.zeros(len(others), dtype=bool)]),
    )


def _calibration_error(chances: Sequence[float], right: Sequence[bool]) -> float:
    """Over bins of equal width: the mean distance of the probability and of how often it was right."""
    wide = np.minimum((np.array(chances) * BINS).astype(int), BINS - 1)
    gaps = [abs(np.mean(np.array(chances)[wide == one]) - np.mean(np.array(right)[wide == one])) for one in set(wide)]
    shares = [float(np.mean(wide == one)) for one in set(wide)]
    return float(np.dot(gaps, shares))
