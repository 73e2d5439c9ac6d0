"""What ``make train`` learns for finding answers: an encoder, and how sure to be of an answer.

How sure: a part of the ways of asking, and of the lines that nothing answers, is held back; a retriever that has not
seen them says how far its answers lead, and a judge learns from that how often it is right. The retriever that
customers ask is learned later, from the answers in the graph (:mod:`knowledge_graph.learning`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

import settings
from knowledge_graph import encoder
from knowledge_graph.encoder import Encoder
from knowledge_graph.retrieval import DEFAULT_JUDGE, Background, Judge, Mode, Question, Retriever, Subject, leads

UNANSWERED = Path(__file__).parent / "unanswered.yml"

HELD_BACK = 4
"""Every fourth line."""


@dataclass(frozen=True, slots=True)
class Split:
    subjects: tuple[Subject, ...]
    background: Background
    held: tuple[tuple[str, str | None], ...]  # line, and its answer


def unanswered() -> tuple[str, ...]:
    """Lines that no answer covers."""
    return tuple(str(line) for line in yaml.safe_load(UNANSWERED.read_text("utf-8"))["none"])


def split(subjects: Sequence[Subject], background: Background) -> Split:
    random = np.random.default_rng(0)
    kept, held = [], list[tuple[str, str | None]]()
    for subject in subjects:
        lines = [subject.lines[place] for place in random.permutation(len(subject.lines))]
        back = len(lines) // HELD_BACK
        held += [(line, subject.id) for line in lines[:back]]
        kept.append(replace(subject, lines=tuple(lines[back:])))
    none = [background.unanswered[place] for place in random.permutation(len(background.unanswered))]
    back = len(none) // HELD_BACK
    rest = replace(background, unanswered=tuple(none[back:]))
    return Split(tuple(kept), rest, (*held, *((line, None) for line in none[:back])))


def judge(parts: Split, meaning: Encoder | None, mode: Mode = "hybrid") -> Judge:
    """``meaning`` must not have learned from the lines that are held back."""
    answerable = [answer is not None for _, answer in parts.held]
    if all(answerable) or not any(answerable):
        return DEFAULT_JUDGE
    retriever = Retriever.learn(parts.subjects, parts.background, meaning, mode=mode)
    scores, none = retriever.scores([Question(line) for line, _ in parts.held])
    best = scores.argmax(axis=1)
    over_none, over_others = (lead[np.arange(len(best)), best] for lead in leads(scores, none))
    right = [retriever.ids[place] == answer for place, (_, answer) in zip(best, parts.held, strict=True)]
    if all(right) or not any(right):  # of a few answers, too few lines to learn from
        return DEFAULT_JUDGE
    return Judge.learn(over_none, over_others, right, answerable)


def learn_encoder(subjects: Sequence[Subject], more: Sequence[Sequence[str]], folder: Path) -> Encoder | None:
    """``more``: other groups of lines that mean the same. None without torch; what ``ENCODER`` names is only loaded."""
    if not settings.encoder():
        try:
            encoder.train([*(subject.lines for subject in subjects), *more], folder)
        except ImportError:
            return None
    return encoder.load(folder)


def train(subjects: Sequence[Subject], alike: Sequence[Sequence[str]], background: Background, folder: Path) -> None:
    """Fills ``folder``, which stays what it was until the new one is complete.

    ``alike``: other groups of lines that mean the same; ``background``: what the bot knows besides ``unanswered.yml``.
    """
    background = replace(background, unanswered=(*unanswered(), *background.unanswered))
    parts = split(subjects, background)
    with TemporaryDirectory() as scratch:
        learned = judge(parts, learn_encoder(parts.subjects, alike, Path(scratch)))
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    learn_encoder(subjects, alike, unfinished / "encoder")
    (unfinished / "trained.json").write_text(
        json.dumps({"judge": asdict(learned), "background": asdict(background)}, ensure_ascii=False), "utf-8"
    )
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


@dataclass(frozen=True, slots=True)
class Trained:
    judge: Judge
    background: Background
    encoder: Encoder | None

    @classmethod
    def load(cls, folder: Path) -> Trained:
        """What was trained into ``folder``; where nothing was, what can be had without."""
        meaning = encoder.load(folder / "encoder")
        try:
            state = json.loads((folder / "trained.json").read_text("utf-8"))
            lines = state["background"]
            background = Background(tuple(lines["unanswered"]), tuple(map(tuple, lines["topics"])))
            return cls(Judge(**state["judge"]), background, meaning)
        except (OSError, ValueError, LookupError, TypeError):
            return cls(DEFAULT_JUDGE, Background(unanswered()), meaning)
