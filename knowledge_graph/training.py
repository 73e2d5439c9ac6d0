"""What ``make train`` learns for finding answers: how much words and meaning weigh, and so how sure to be.

The ways of asking and the unanswered lines that the encoder was never tuned on (:func:`encoder.held_back`) are held
back; what a retriever that has not seen them makes of them teaches the judge. The retriever that customers ask is
learned later, from the answers in the graph (:mod:`knowledge_graph.learning`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import yaml

import encoder
import settings
from knowledge_graph.retrieval import (
    BY_BOTH,
    BY_WORDS,
    MEANING,
    Background,
    Encoder,
    Judge,
    Numbers,
    Retriever,
    Subject,
)

UNANSWERED = Path(__file__).parent / "unanswered.yml"

ENOUGH = 100
"""Lines that must be held back for a judge to learn from them."""


@dataclass(frozen=True, slots=True)
class Split:
    subjects: tuple[Subject, ...]
    background: Background
    held: tuple[tuple[str, str | None], ...]  # line, and its answer


def unanswered() -> tuple[str, ...]:
    """Lines that no answer covers."""
    return tuple(str(line) for line in yaml.safe_load(UNANSWERED.read_text("utf-8"))["none"])


def split(subjects: Sequence[Subject], background: Background) -> Split:
    """No answer loses all of its lines."""
    kept, held = [], list[tuple[str, str | None]]()
    for subject in subjects:
        back = [line for line in subject.lines if encoder.held_back(line)][: len(subject.lines) - 1]
        held += [(line, subject.id) for line in back]
        kept.append(replace(subject, lines=tuple(line for line in subject.lines if line not in back)))
    none = [line for line in background.unanswered if encoder.held_back(line)]
    rest = tuple(line for line in background.unanswered if line not in none)
    return Split(tuple(kept), replace(background, unanswered=rest), (*held, *((line, None) for line in none)))


def judges(parts: Split, meaning: Encoder | None) -> tuple[Judge, Judge]:
    """By words alone, and by words and meaning. Learned where enough lines are held back, of those with an answer and
    of those without."""
    answerable = sum(answer is not None for _, answer in parts.held)
    if not ENOUGH <= answerable < len(parts.held):
        return BY_WORDS, BY_BOTH
    retriever = Retriever.learn(parts.subjects, parts.background, meaning)
    places = {key: place for place, key in enumerate([*retriever.ids, None])}
    right = [places[answer] for _, answer in parts.held]
    evidence = retriever.evidence([line for line, _ in parts.held])
    both = Judge.learn(evidence, right) if meaning else BY_BOTH
    evidence[..., MEANING] = 0
    return Judge.learn(evidence, right), both


@dataclass(frozen=True, slots=True)
class Remembered:
    """An encoder that has already read all that it will be asked."""

    name: str
    vectors: Mapping[str, Numbers]

    def encode(self, texts: Sequence[str]) -> Numbers:
        return np.array([self.vectors[text] for text in texts])


def remembered(subjects: Sequence[Subject], background: Background) -> Remembered | None:
    """All lines that a retriever of these compares with; None without an encoder. Those that were read before are kept
    in a file."""
    if (meaning := encoder.load()) is None:
        return None
    lines = [*(line for subject in subjects for line in subject.lines), *background.unanswered]
    vectors = meaning.encode(lines, kept=settings.models_dir() / "asked.npz")
    return Remembered(meaning.name, dict(zip(lines, vectors, strict=True)))


def train(subjects: Sequence[Subject], background: Background, folder: Path) -> None:
    """Fills ``folder``, which stays what it was until the new one is complete.

    ``background``: what the bot knows besides ``unanswered.yml``.
    """
    background = replace(background, unanswered=(*unanswered(), *background.unanswered))
    meaning = remembered(subjects, background)
    by_words, by_both = judges(split(subjects, background), meaning)
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    state = {
        "by_words": asdict(by_words),
        "by_both": asdict(by_both),
        "fitted_with": meaning.name if meaning else None,
        "background": asdict(background),
    }
    (unfinished / "trained.json").write_text(json.dumps(state, ensure_ascii=False), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


@dataclass(frozen=True, slots=True)
class Trained:
    """``fitted_with``: the encoder by whose meaning ``by_both`` judges; with another one, or none, only words count."""

    by_words: Judge
    by_both: Judge
    fitted_with: str | None
    background: Background

    @classmethod
    def load(cls, folder: Path) -> Trained:
        """What was trained into ``folder``; where nothing was, what can be had without."""
        try:
            state = json.loads((folder / "trained.json").read_text("utf-8"))
            lines = state["background"]
            background = Background(tuple(lines["unanswered"]), tuple(map(tuple, lines["topics"])))
            return cls(Judge(**state["by_words"]), Judge(**state["by_both"]), state["fitted_with"], background)
        except (OSError, ValueError, LookupError, TypeError):
            meaning = encoder.load()
            return cls(BY_WORDS, BY_BOTH, meaning.name if meaning else None, Background(unanswered()))
