"""Which answer fits a question: by its words, by its meaning, and by what is being talked of.

Words: a linear support vector machine for each answer, learned from its ways of asking, its title and its text, one for
each topic, and one for everything that no answer covers (``unanswered.yml``). Meaning: how near the question is to the
nearest ways of asking (:mod:`knowledge_graph.encoder`). Context: the topic that the bot has understood and the answers
that belong to the product at hand. What comes out is a probability, which :class:`Judge` learned on questions that had
been held back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from knowledge_graph.encoder import Encoder
from knowledge_graph.text import cut, features

Numbers = NDArray[np.float32]
Mode = Literal["hybrid", "words", "meaning"]

MEANING = 2.0
"""What one of similarity weighs beside one of the machines' scores."""

TOPIC = 0.8
"""What a topic's machine weighs: it has seen all ways of asking for anything of that topic."""

SAME_TOPIC = 0.1
NEAR = 0.3
"""What the topic that the bot has understood and the product at hand add to a score; neighbours are about 0.5 apart."""

NONE = ""
"""The label of what no answer covers."""

NEAREST = 3
"""Ways of asking that count for how near an answer is."""

TOGETHER = 256
"""Questions that are compared at once; more of them would take gigabytes."""

BEST = 3
"""So many answers of a question are told."""


@dataclass(frozen=True, slots=True)
class Question:
    """``topic`` as the bot understood it; ``near``, the answers that belong to what is being talked of."""

    text: str
    topic: str | None = None
    near: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Hit:
    id: str
    score: float  # probability that this is the answer


@dataclass(frozen=True, slots=True)
class Subject:
    """An answer as the retriever learns it."""

    id: str
    topic: str
    lines: tuple[str, ...]  # ways of asking, and the title
    text: str


@dataclass(frozen=True, slots=True)
class Background:
    """What else is learned from: lines that no answer covers, and lines of a topic whatever their answer."""

    unanswered: tuple[str, ...] = ()
    topics: tuple[tuple[str, str], ...] = ()  # line, topic


@dataclass(frozen=True, slots=True)
class Judge:
    """Logistic regression on an answer's lead over having none and its lead over the best of the others."""

    over_none: float
    over_others: float
    bias: float

    def probability(self, over_none: Numbers, over_others: Numbers) -> Numbers:
        logits = self.over_none * over_none + self.over_others * over_others + self.bias
        return (1 / (1 + np.exp(-logits))).astype(np.float32)

    @classmethod
    def learn(
        cls, over_none: Numbers, over_others: Numbers, right: Sequence[bool], answerable: Sequence[bool]
    ) -> Judge:
        """As if one question in five had no answer, whatever the share here."""
        from sklearn.linear_model import LogisticRegression

        share = float(np.mean(answerable))
        weights = np.where(answerable, 0.8 / share, 0.2 / (1 - share))
        model = LogisticRegression(C=100.0).fit(np.c_[over_none, over_others], right, weights)
        none, others = model.coef_[0]
        return cls(float(none), float(others), float(model.intercept_[0]))


DEFAULT_JUDGE = Judge(2.5, 2.0, -1.0)
"""For a retriever that nobody has measured: a house that was never trained."""


class Words:
    """The machines: for each label a weight for every feature."""

    def __init__(
        self, labels: Sequence[str], columns: dict[str, int], rarity: Numbers, weights: Numbers, bias: Numbers
    ):
        self.places = {label: place for place, label in enumerate(labels)}
        self._columns, self._rarity, self._weights, self._bias = columns, rarity, weights, bias

    @classmethod
    def learn(cls, lines: Sequence[tuple[str, str]]) -> Words:
        """From lines with their labels, of which there must be two at least."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.svm import LinearSVC

        counting = TfidfVectorizer(analyzer=_features, sublinear_tf=True, dtype=np.float32)
        matrix = counting.fit_transform([line for line, _ in lines])
        machine = LinearSVC(C=1.0, random_state=0).fit(matrix, [label for _, label in lines])
        weights, bias = machine.coef_, machine.intercept_
        if len(machine.classes_) == 2:  # which share one machine, the second's
            weights, bias = np.vstack([-weights, weights]), np.hstack([-bias, bias])
        return cls(
            [str(label) for label in machine.classes_],
            {feature: int(column) for feature, column in counting.vocabulary_.items()},
            counting.idf_.astype(np.float32),
            np.ascontiguousarray(weights.T, dtype=np.float32),
            bias.astype(np.float32),
        )

    def scores(self, texts: Sequence[str]) -> Numbers:
        """Texts × labels."""
        found = np.empty((len(texts), len(self.places)), dtype=np.float32)
        for row, text in zip(found, texts, strict=True):
            known = [self._columns[feature] for feature in _features(text) if feature in self._columns]
            columns, counts = np.unique(np.array(known, dtype=np.int64), return_counts=True)
            values = (1 + np.log(counts)) * self._rarity[columns]
            length = np.linalg.norm(values)
            row[:] = (values / length if length else values) @ self._weights[columns] + self._bias
        return found

    def save(self, folder: Path, name: str) -> None:
        np.savez(folder / f"{name}.npz", rarity=self._rarity, weights=self._weights, bias=self._bias)
        _write(folder / f"{name}.json", {"labels": list(self.places), "columns": self._columns})

    @classmethod
    def load(cls, folder: Path, name: str) -> Words | None:
        if not (folder / f"{name}.npz").exists():
            return None
        state, arrays = _read(folder / f"{name}.json"), np.load(folder / f"{name}.npz")
        return cls(state["labels"], state["columns"], arrays["rarity"], arrays["weights"], arrays["bias"])


def _features(text: str) -> list[str]:
    return features(cut(text))


class Meaning:
    """The ways of asking as vectors, those of one answer beside each other."""

    def __init__(self, encoder: Encoder, vectors: Numbers, counts: Sequence[int]) -> None:
        """``counts``: how many there are of each answer."""
        self._encoder, self._vectors, self._counts = encoder, vectors, np.array(counts)
        self._starts = np.cumsum([0, *counts[:-1]])

    @classmethod
    def learn(cls, encoder: Encoder, subjects: Sequence[Subject]) -> Meaning:
        lines = [line for subject in subjects for line in subject.lines]
        return cls(encoder, encoder.encode(lines), [len(subject.lines) for subject in subjects])

    def scores(self, texts: Sequence[str]) -> Numbers:
        """Texts × answers: the mean similarity of the nearest ways of asking."""
        found = np.zeros((len(texts), len(self._counts)), dtype=np.float32)
        vectors = self._encoder.encode(texts)
        for start in range(0, len(texts), TOGETHER):
            near = vectors[start : start + TOGETHER] @ self._vectors.T
            nearest: Numbers = np.maximum.reduceat(near, self._starts, axis=1)
            for _ in range(NEAREST):
                found[start : start + TOGETHER] += nearest / NEAREST
                near[near >= np.repeat(nearest, self._counts, axis=1)] = -np.inf
                after = np.maximum.reduceat(near, self._starts, axis=1)
                nearest = np.where(np.isfinite(after), after, nearest)
        return found

    def save(self, folder: Path) -> None:
        np.savez(folder / "meaning.npz", vectors=self._vectors, counts=self._counts)

    @classmethod
    def load(cls, encoder: Encoder, folder: Path) -> Meaning:
        arrays = np.load(folder / "meaning.npz")
        return cls(encoder, arrays["vectors"], arrays["counts"].tolist())


class Retriever:
    def __init__(
        self,
        subjects: Sequence[tuple[str, str]],
        words: Words | None,
        topics: Words | None,
        meaning: Meaning | None,
        judge: Judge,
    ) -> None:
        """``subjects``: id and topic of the answers, sorted by id."""
        self.ids = [subject for subject, _ in subjects]
        self._topics = np.array([topic for _, topic in subjects])
        self._places = {subject: place for place, subject in enumerate(self.ids)}
        self._words, self._meaning, self._judge = words, meaning, judge
        self._topic_words = topics
        if words:
            self._columns, self._none = [words.places[subject] for subject in self.ids], words.places.get(NONE)
        if topics:
            self._topic_columns = [topics.places[topic] for _, topic in subjects]

    @classmethod
    def learn(
        cls,
        subjects: Sequence[Subject],
        background: Background,
        encoder: Encoder | None,
        judge: Judge = DEFAULT_JUDGE,
        mode: Mode = "hybrid",
    ) -> Retriever:
        """Without an encoder by words alone, whatever the mode. There must be two answers at least."""
        subjects = sorted(subjects, key=lambda subject: subject.id)
        words = topics = meaning = None
        if mode != "meaning" or encoder is None:
            lines = [(text, subject) for subject in subjects for text in (*subject.lines, subject.text)]
            none = [(line, NONE) for line in background.unanswered]
            words = Words.learn([*((line, subject.id) for line, subject in lines), *none])
            known = {subject.topic for subject in subjects}
            others = [(line, topic) for line, topic in background.topics if topic in known]
            if len(known) > 1 or none:  # else there is nothing to tell it from
                topics = Words.learn([*((line, subject.topic) for line, subject in lines), *others, *none])
        if mode != "words" and encoder is not None:
            meaning = Meaning.learn(encoder, subjects)
        return cls([(subject.id, subject.topic) for subject in subjects], words, topics, meaning, judge)

    def find(self, questions: Sequence[Question], among: Collection[str] | None = None) -> list[list[Hit]]:
        """For each question the best answers, the likeliest first; ``among``: those that may be told today.

        Who asks for an answer that may not be told is not given its neighbour: the others stay as unlikely as they are.
        """
        if not questions:
            return []
        scores, none = self.scores(questions)
        chances = self._judge.probability(*leads(scores, none))
        allowed = [place for place, key in enumerate(self.ids) if among is None or key in among]
        best = np.argsort(-scores[:, allowed], axis=1, kind="stable")[:, :BEST]
        return [
            [Hit(self.ids[allowed[place]], round(float(row[allowed[place]]), 4)) for place in places]
            for places, row in zip(best, chances, strict=True)
        ]

    def scores(self, questions: Sequence[Question]) -> tuple[Numbers, Numbers]:
        """Questions × answers, and for each question what having no answer scores."""
        texts = [question.text for question in questions]
        scores = np.zeros((len(texts), len(self.ids)), dtype=np.float32)
        none = np.zeros(len(texts), dtype=np.float32)
        if self._words:
            found = self._words.scores(texts)
            scores += found[:, self._columns]
            if self._none is not None:
                none = found[:, self._none]
        if self._topic_words:
            scores += TOPIC * self._topic_words.scores(texts)[:, self._topic_columns]
        if self._meaning:
            scores += MEANING * self._meaning.scores(texts)
        for row, question in zip(scores, questions, strict=True):
            row[self._topics == question.topic] += SAME_TOPIC
            row[[self._places[key] for key in question.near if key in self._places]] += NEAR
        return scores, none

    def save(self, folder: Path) -> None:
        for name, words in (("words", self._words), ("topics", self._topic_words)):
            if words:
                words.save(folder, name)
        if self._meaning:
            self._meaning.save(folder)
        subjects = list(zip(self.ids, self._topics.tolist(), strict=True))
        _write(folder / "retriever.json", {"subjects": subjects, "judge": asdict(self._judge)})

    @classmethod
    def load(cls, folder: Path, encoder: Encoder | None) -> Retriever:
        """What :meth:`save` has stored, with the encoder that it was learned with. Raises OSError where nothing is."""
        state = _read(folder / "retriever.json")
        words, topics = Words.load(folder, "words"), Words.load(folder, "topics")
        meaning = Meaning.load(encoder, folder) if encoder and (folder / "meaning.npz").exists() else None
        return cls(state["subjects"], words, topics, meaning, Judge(**state["judge"]))


def leads(scores: Numbers, none: Numbers) -> tuple[Numbers, Numbers]:
    """Of each answer: over having none, and over the best of the others."""
    if scores.shape[1] == 1:
        return scores - none[:, None], np.ones_like(scores)
    two = -np.partition(-scores, 1, axis=1)[:, :2]
    others = np.where(scores == two[:, :1], two[:, 1:], two[:, :1])
    return scores - none[:, None], scores - others


def _write(path: Path, state: dict[str, Any]) -> None:
    path.write_text(json.dumps(state, ensure_ascii=False), "utf-8")


def _read(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return state
