"""What is felt, learned from lines: by their words and, where these leave it open, by what the encoder says they mean.

Both are learned with every training; how sure to be of either is found on lines that neither had seen. Among these as
many count as felt as are among real messages (``shares``): most of those are calm, whatever is taught most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import normalize

from bot.components.classifier import scores_unseen
from bot.components.linear import Linear, Numbers, features, machine, matrix, rarity
from encoder import Encoder

CERTAIN = 0.85
"""Probability from which the words alone decide: above it the encoder turned none of 1,500 real messages."""

MEANING = 0.3
"""What the encoder weighs; the words have the rest."""

STEPS = 300

Read = Callable[[], Numbers]
"""The vector of a text: asked only where it is needed."""


def phrases(cut: Sequence[str]) -> list[str]:
    """The features of a message, and its runs of three words: 不 担 心."""
    edged = ["^", *cut, "$"]
    return [*features(cut), *map(" ".join, zip(edged, edged[1:], edged[2:], strict=False))]


@dataclass(frozen=True)
class Fit:
    """Turns scores into probabilities."""

    sharpness: float
    bias: Numbers  # of each label

    @classmethod
    def learn(cls, scores: Numbers, truth: NDArray[np.intp], weights: Numbers) -> Fit:
        """From scores (lines × labels) of lines that were not learned from."""
        places = np.arange(len(truth))

        def loss(numbers: Numbers) -> float:
            told = log_softmax(np.exp(numbers[0]) * scores + numbers[1:], axis=1)[places, truth]
            return -float((weights * told).sum())

        found = minimize(loss, np.zeros(1 + scores.shape[1])).x
        return cls(float(np.exp(found[0])), found[1:])

    def probabilities(self, scores: Numbers) -> Numbers:
        found: Numbers = softmax(self.sharpness * scores + self.bias, axis=-1)
        return found


@dataclass(frozen=True)
class Meaning:
    """A linear model over the encoder's vectors."""

    weights: Numbers  # numbers × labels
    bias: Numbers
    encoder: str  # its name: another one's vectors mean something else

    def scores(self, vectors: Numbers) -> Numbers:
        found: Numbers = log_softmax(vectors @ self.weights + self.bias, axis=-1)
        return found


@dataclass(frozen=True)
class Feelings:
    said: Linear
    quick: Fit  # of the words alone
    meaning: Meaning | None = None
    both: Fit | None = None

    @property
    def labels(self) -> list[str]:
        return self.said.labels

    def probabilities(self, cut: Sequence[str], read: Read | None) -> Numbers:
        """Of each of ``labels``; ``read`` gives the vector, by the encoder that was learned with."""
        scores = self.said.weighed(set(phrases(cut)))
        chances = self.quick.probabilities(scores)
        if read is None or self.meaning is None or self.both is None or chances.max() >= CERTAIN:
            return chances
        return self.both.probabilities(_mixed(log_softmax(self.quick.sharpness * scores), self.meaning.scores(read())))

    def store(self, folder: Path) -> None:
        self.said.store(folder)
        numbers = {"quick": np.array([self.quick.sharpness, *self.quick.bias])}
        if self.meaning and self.both:
            numbers |= {"both": np.array([self.both.sharpness, *self.both.bias])}
            numbers |= {
                "weights": self.meaning.weights,
                "bias": self.meaning.bias,
                "name": np.array(self.meaning.encoder),
            }
        np.savez(folder / "feelings.npz", **numbers)

    @classmethod
    def load(cls, folder: Path) -> Feelings:
        numbers = np.load(folder / "feelings.npz", allow_pickle=False)

        def fit(name: str) -> Fit:
            return Fit(float(numbers[name][0]), numbers[name][1:])

        said = Linear.load(folder)
        if "both" not in numbers.files:
            return cls(said, fit("quick"))
        return cls(said, fit("quick"), Meaning(numbers["weights"], numbers["bias"], str(numbers["name"])), fit("both"))


@dataclass(frozen=True)
class Lesson:
    """What is learned from."""

    texts: Sequence[str]
    cuts: Sequence[Sequence[str]]
    labels: NDArray[np.str_]
    weights: Numbers  # of each line, in learning
    asked: NDArray[np.intp]  # places of the lines that the encoder reads, and that say how sure to be


def learn(lesson: Lesson, shares: Mapping[str, float], c: float, folds: int, encoder: Encoder | None) -> Feelings:
    """``shares``: of each label among real messages."""
    vocabulary, plain = matrix(lesson.cuts, phrases)
    rare = rarity(plain)
    counts = normalize(plain.sign().multiply(rare).tocsr())
    labels, truth = np.unique(lesson.labels, return_inverse=True)
    said = Linear.of(machine(c).fit(counts, lesson.labels, lesson.weights), vocabulary, rarity=rare)
    asked, known = lesson.asked, truth[lesson.asked]
    counted = _counted(known, [shares[label] for label in labels])
    unseen = scores_unseen(counts, truth, c, folds, lesson.weights)[asked]
    quick = Fit.learn(unseen, known, counted)
    if encoder is None:
        return Feelings(said, quick)
    vectors = encoder.encode([lesson.texts[place] for place in asked])
    opinions = np.zeros((len(asked), len(labels)))
    for learned, left in StratifiedKFold(folds, shuffle=True, random_state=0).split(vectors, known):
        opinions[left] = _meaning(vectors[learned], known[learned], encoder).scores(vectors[left])
    both = Fit.learn(_mixed(log_softmax(quick.sharpness * unseen, axis=1), opinions), known, counted)
    return Feelings(said, quick, _meaning(vectors, known, encoder), both)


def _meaning(vectors: Numbers, truth: NDArray[np.intp], encoder: Encoder) -> Meaning:
    found = LogisticRegression(C=10.0, max_iter=STEPS).fit(vectors, truth)
    return Meaning(found.coef_.T.astype(np.float32), found.intercept_.astype(np.float32), encoder.name)


def _mixed(said: Numbers, meant: Numbers) -> Numbers:
    found: Numbers = (1 - MEANING) * said + MEANING * meant
    return found


def _counted(truth: NDArray[np.intp], shares: Sequence[float]) -> Numbers:
    """Weights of lines with which each label has its share; their sum is 1."""
    each = (np.array(shares) / np.maximum(np.bincount(truth, minlength=len(shares)), 1))[truth]
    found: Numbers = each / each.sum()
    return found
