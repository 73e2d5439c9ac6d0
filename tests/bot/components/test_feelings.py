"""How sure a feeling is: by the words where they suffice, else by the encoder, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.components.feelings import CERTAIN, Feelings, Fit, Lesson, Meaning, learn, phrases
from bot.components.linear import Numbers, features

SHARES = {"worry": 0.1, "urge": 0.1, "neutral": 0.8}
LINES = [("怕丢了", "worry"), ("好怕啊", "worry"), ("怕收不到", "worry"), ("我好怕呀", "worry"), ("怕摔坏", "worry")]
LINES += [
    ("到哪了", "neutral"),
    ("多少钱", "neutral"),
    ("有货吗", "neutral"),
    ("在吗", "neutral"),
    ("好的呀", "neutral"),
    ("快点发", "urge"),
    ("快啊", "urge"),
    ("快点吧", "urge"),
    ("请快些", "urge"),
    ("快快快", "urge"),
]


class Reads:
    """Stands for an encoder to which texts with a 怕 mean something else than those without."""

    name = "one"

    def encode(self, texts: list[str]) -> Numbers:
        return np.array([[1.0, 0.0] if "怕" in text else [0.0, 1.0] for text in texts])


def lesson() -> Lesson:
    texts = [text for text, _ in LINES]
    labels = np.array([label for _, label in LINES])
    return Lesson(texts, [list(text) for text in texts], labels, np.ones(len(texts)), np.arange(len(texts)))


def test_phrases_are_features_and_runs_of_three() -> None:
    cut = list("不担心")
    assert phrases(cut) == [*features(cut), "^ 不 担", "不 担 心", "担 心 $"]


def test_a_fit_counts_what_is_rare_as_rare() -> None:
    """Of lines that say nothing, a label is as probable as its share."""
    truth = np.array([0, 0, 0, 0, 0, 1])
    weights = np.where(truth == 1, 0.7, 0.3 / 5)
    found = Fit.learn(np.zeros((6, 2)), truth, weights).probabilities(np.zeros(2))
    assert found == pytest.approx([0.3, 0.7], abs=0.01)


def test_the_encoder_is_asked_only_where_the_words_leave_it_open() -> None:
    said = learn(lesson(), SHARES, 1.0, 2, None)
    asked: list[str] = []

    def read() -> Any:
        asked.append("once")
        return np.array([1.0, 0.0])

    meaning = Meaning(np.array([[-4.0, -4.0, 4.0], [4.0, 0.0, -4.0]]), np.zeros(3), "one")
    both = Feelings(said.said, Fit(9.0, np.zeros(3)), meaning, Fit(9.0, np.zeros(3)))
    assert both.probabilities(list("好怕啊"), read).max() >= CERTAIN
    assert asked == []
    unclear = both.probabilities(list("嗯"), None)
    assert unclear.max() < CERTAIN
    assert both.probabilities(list("嗯"), read)[both.labels.index("worry")] > unclear.max()
    assert asked == ["once"]


def test_what_was_learned_is_stored(tmp_path: Path) -> None:
    for encoder in (None, Reads()):
        found = learn(lesson(), SHARES, 1.0, 2, encoder)  # type: ignore[arg-type]
        found.store(tmp_path)
        again = Feelings.load(tmp_path)
        for text in ("好怕", "到了", "ⵣ"):
            told = found.probabilities(list(text), lambda: np.array([1.0, 0.0]))
            assert again.probabilities(list(text), lambda: np.array([1.0, 0.0])) == pytest.approx(told)
        assert (again.meaning is None) is (encoder is None)
