"""Which answer fits a question: by its words, by its meaning, and by what is being talked of.

Words: a linear support vector machine for each answer, learned from its ways of asking, its title and its text, one for
each topic, and one for everything that no answer covers (``unanswered.yml``). Meaning: how near the question is to the
nearest ways of asking, by the room ``encoder``. Cover: how much of what the question names stands with the answer at
all. :class:`Judge` weighs them into probabilities of the answers and of having none; what weighs how much was learned
from questions that had been held back.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge_graph.text import cut, features

log = logging.getLogger(__name__)

Numbers = NDArray[np.float32]

NEAR = 1.5
"""What an answer that belongs to the product at hand is ahead, in logits: it breaks a tie, and no more."""

CERTAIN = 1e-5
"""What is left of the other answers where one is certain."""

LIKE_CERTAIN = 0.99
"""No answer is surer, but where its very words are asked."""

NONE = ""
"""The label of what no answer covers."""

REFUSED = -1.0
"""What the machines say to a label that a line does not have; of having no answer, where there are no lines for it."""

WORDS, TOPIC, MEANING, COVER = range(4)
"""The kinds of evidence."""

NEAREST = 3
"""Ways of asking that count for how near an answer is."""

TOGETHER = 256
"""Questions that are compared at once; more of them would take gigabytes."""

BEST = 3
"""So many answers of a question are told."""

TELLING = 600
"""What is named in fewer than one line of so many says what a question is about."""

QUOTED = 0.3
"""Of what a question names, by how seldom it is asked: what a sentence must hold to be the answer to it."""


ALIKE, APART, A_SENTENCE = 0.15, 0.1, 4
"""How near a sentence must be to a question about its text by its meaning alone, and how much nearer than the others:
of fifteen questions that went on from an answer it was the right one in fourteen. And characters of a sentence that
says something by itself: not 能, 补."""

SENTENCE = re.compile("[^。；！？]+")


class Encoder(Protocol):
    @property
    def name(self) -> str:
        """Another one with other weights."""

    def encode(self, texts: Sequence[str]) -> Numbers:
        """A row of unit length for each text, near to those that mean the same."""


@dataclass(frozen=True, slots=True)
class Question:
    """``near``: the answers that belong to what is being talked of."""

    text: str
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
    """How much each kind of evidence weighs: a conditional logit over the answers and over having none."""

    words: float
    topic: float
    meaning: float
    cover: float
    none: float  # what having no answer is ahead

    def chances(self, evidence: Numbers, ahead: Numbers | float = 0.0) -> Numbers:
        """``evidence``: questions × (answers and, last, none) × the kinds of evidence. Probabilities; each row is 1 in
        all. ``ahead`` is added to the logits."""
        weights = np.array([self.words, self.topic, self.meaning, self.cover], dtype=np.float32)
        logits = evidence @ weights + ahead
        logits[:, -1] += self.none
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        result: Numbers = (chances / chances.sum(axis=1, keepdims=True)).astype(np.float32)
        return result

    @classmethod
    def learn(cls, evidence: Numbers, right: Sequence[int]) -> Judge:
        """``right``: the columns of what fits. As if one question in five had no answer, whatever the share here."""
        from scipy.optimize import minimize

        places = np.array(right)
        none = np.zeros((*evidence.shape[:2], 1), dtype=np.float32)
        none[:, -1] = 1
        seen = np.concatenate([evidence, none], axis=2).astype(np.float64)
        unanswerable = places == evidence.shape[1] - 1
        share = unanswerable.mean()
        shares = np.where(unanswerable, 0.2 / share, 0.8 / (1 - share)) / len(places)

        def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            logits = seen @ weights
            logits -= logits.max(axis=1, keepdims=True)
            chances = np.exp(logits)
            chances /= chances.sum(axis=1, keepdims=True)
            fits = chances[np.arange(len(places)), places]
            towards = np.einsum("qa,qae->qe", chances, seen) - seen[np.arange(len(places)), places]
            return float(-shares @ np.log(fits + 1e-12)), shares @ towards

        return cls(*map(float, minimize(loss, np.ones(5), jac=True, method="L-BFGS-B").x))


BY_WORDS, BY_BOTH = Judge(6.0, 1.5, 0.0, 0.0, 0.5), Judge(3.0, 0.75, 18.0, 0.0, 1.0)
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
    """The ways of asking as vectors, those of one label beside each other."""

    def __init__(self, encoder: Encoder, vectors: Numbers, counts: Sequence[int]) -> None:
        """``counts``: how many there are of each label, none of them 0."""
        self.read_by = encoder.name
        self._encoder, self._vectors, self._counts = encoder, vectors, np.array(counts)
        self._starts = np.cumsum([0, *counts[:-1]])

    @classmethod
    def learn(cls, encoder: Encoder, labels: Sequence[Sequence[str]]) -> Meaning:
        """From the lines of each label."""
        lines = [line for of_label in labels for line in of_label]
        return cls(encoder, encoder.encode(lines), [len(of_label) for of_label in labels])

    def scores(self, texts: Sequence[str]) -> Numbers:
        """Texts × labels: the mean similarity of the nearest ways of asking."""
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

    def nearest(self, text: str, lines: Sequence[str]) -> str | None:
        """The one of several lines that is clearly the nearest."""
        lines = [line for line in lines if len(line) >= A_SENTENCE]
        if len(lines) < 2:
            return None
        vectors = self._encoder.encode([text, *lines])
        near = vectors[1:] @ vectors[0]
        second, first = np.argsort(near)[-2:]
        return lines[int(first)] if near[first] >= ALIKE and near[first] - near[second] >= APART else None

    def save(self, folder: Path) -> None:
        np.savez(folder / "meaning.npz", vectors=self._vectors.astype(np.float16), counts=self._counts)

    @classmethod
    def load(cls, encoder: Encoder, folder: Path) -> Meaning:
        arrays = np.load(folder / "meaning.npz")
        return cls(encoder, arrays["vectors"].astype(np.float32), arrays["counts"].tolist())


class Cover:
    """How much of what a question names stands with an answer: of its pairs of characters, its numbers and Latin words,
    each by how seldom it is asked."""

    def __init__(self, columns: dict[str, int], rarity: Numbers, holds: NDArray[np.bool_]) -> None:
        """``rarity``: of the columns and, last, of what nobody has ever written; ``holds``: columns × answers."""
        self._columns, self._rarity, self._holds = columns, rarity, holds

    @classmethod
    def learn(cls, labels: Sequence[Sequence[str]], others: Sequence[str]) -> Cover:
        """From the lines of each label, its text among them; ``others`` only say what is often asked."""
        asked = [_named(line) for lines in (*labels, others) for line in lines]
        times = Counter(name for names in asked for name in names)
        columns = {name: column for column, name in enumerate(times)}
        rarity = np.log(len(asked) / np.array([*(1 + count for count in times.values()), 1], dtype=np.float32))
        holds = np.zeros((len(columns), len(labels)), dtype=np.bool_)
        for label, lines in enumerate(labels):
            holds[[columns[name] for line in lines for name in _named(line)], label] = True
        return cls(columns, rarity, holds)

    def scores(self, texts: Sequence[str]) -> Numbers:
        """Texts × labels, from 0 to 1."""
        found = np.zeros((len(texts), self._holds.shape[1]), dtype=np.float32)
        for row, names in zip(found, map(_named, texts), strict=True):
            known = [self._columns[name] for name in names if name in self._columns]
            all_of_it = self._rarity[known].sum() + self._rarity[-1] * (len(names) - len(known))
            if known:
                row[:] = self._rarity[known] @ self._holds[known] / all_of_it
        return found

    def share(self, question: str, text: str) -> float:
        """How much of the question stands in the text, from 0 to 1; nothing where none of that is telling."""
        names = _named(question)
        held = [self._rarity_of(name) for name in names & _named(text)]
        if not held or max(held) < np.log(TELLING):
            return 0.0
        return sum(held) / sum(map(self._rarity_of, names))

    def _rarity_of(self, name: str) -> float:
        return float(self._rarity[self._columns.get(name, -1)])

    def save(self, folder: Path) -> None:
        np.savez(folder / "cover.npz", rarity=self._rarity, holds=np.packbits(self._holds, axis=1))
        _write(folder / "cover.json", {"columns": self._columns, "labels": self._holds.shape[1]})

    @classmethod
    def load(cls, folder: Path) -> Cover:
        state, arrays = _read(folder / "cover.json"), np.load(folder / "cover.npz")
        holds = np.unpackbits(arrays["holds"], axis=1, count=state["labels"]).astype(np.bool_)
        return cls(state["columns"], arrays["rarity"], holds)


def _named(text: str) -> set[str]:
    tokens = cut(text)
    return {f"{one} {other}" for one, other in pairwise(tokens)} | {token for token in tokens if len(token) > 1}


class Retriever:
    def __init__(
        self,
        subjects: Sequence[tuple[str, str]],
        asked: dict[str, str],
        words: Words,
        topics: Words | None,
        meaning: Meaning | None,
        cover: Cover,
        judge: Judge,
        by_words: Judge,
    ) -> None:
        """``subjects``: id and topic of the answers, sorted by id; ``asked``: ways of asking in one spelling, and their
        answers; ``by_words``: the judge where it is loaded without the encoder that has read the ways of asking."""
        self.ids = [subject for subject, _ in subjects]
        self._subjects, self._asked = list(subjects), asked
        self._places = {subject: place for place, subject in enumerate(self.ids)}
        self._words, self._topics, self._meaning, self._cover = words, topics, meaning, cover
        self._judge, self._by_words = judge, by_words

    @classmethod
    def learn(
        cls,
        subjects: Sequence[Subject],
        background: Background,
        encoder: Encoder | None,
        judge: Judge | None = None,
        by_words: Judge = BY_WORDS,
    ) -> Retriever:
        """By words alone without an encoder. There must be two answers at least."""
        subjects = sorted(subjects, key=lambda subject: subject.id)
        none = [(line, NONE) for line in background.unanswered]
        lines = [(text, subject) for subject in subjects for text in (*subject.lines, subject.text)]
        words = Words.learn([*((line, subject.id) for line, subject in lines), *none])
        known = {subject.topic for subject in subjects}
        topics = None
        if len(known) > 1 or none:  # else there is nothing to tell it from
            others = [(line, topic) for line, topic in background.topics if topic in known]
            topics = Words.learn([*((line, subject.topic) for line, subject in lines), *others, *none])
        meaning = None
        if encoder is not None:
            labels = [subject.lines for subject in subjects] + [background.unanswered] * bool(none)
            meaning = Meaning.learn(encoder, labels)
        times = Counter(key for subject in subjects for key in {_spelled(line) for line in subject.lines})
        asked = {_spelled(line): subject.id for subject in subjects for line in subject.lines}
        return cls(
            [(subject.id, subject.topic) for subject in subjects],
            {key: subject for key, subject in asked.items() if key and times[key] == 1},
            words,
            topics,
            meaning,
            Cover.learn([(*subject.lines, subject.text) for subject in subjects], background.unanswered),
            judge or (BY_BOTH if meaning else by_words),
            by_words,
        )

    def find(self, questions: Sequence[Question], among: Collection[str] | None = None) -> list[list[Hit]]:
        """For each question the best answers, the likeliest first; ``among``: those that may be told today.

        What is asked in the very words of a way of asking is that. Who asks for an answer that may not be told is not
        given its neighbour: the others stay as unlikely as they are.
        """
        if not questions:
            return []
        evidence = self.evidence([question.text for question in questions])
        ahead = np.zeros(evidence.shape[:2], dtype=np.float32)
        for row, question in zip(ahead, questions, strict=True):
            row[[self._places[key] for key in question.near if key in self._places]] = NEAR
        chances = self._judge.chances(evidence, ahead)
        for row, question in zip(chances, questions, strict=True):
            np.minimum(row, LIKE_CERTAIN, out=row)
            if (known := self._asked.get(_spelled(question.text))) is not None:
                row *= CERTAIN
                row[self._places[known]] = 1
        allowed = [place for place, key in enumerate(self.ids) if among is None or key in among]
        best = np.argsort(-chances[:, allowed], axis=1, kind="stable")[:, :BEST]
        return [
            [Hit(self.ids[allowed[place]], round(float(row[allowed[place]]), 4)) for place in places]
            for places, row in zip(best, chances, strict=True)
        ]

    def sentence(self, question: str, text: str, about_it: bool = False) -> str | None:
        """The sentence of a text that the question is about; None where none is. Where the question is known to be
        ``about_it``, the one that is clearly nearest in meaning will do."""
        sentences = [one.strip() for one in SENTENCE.findall(text)]
        share, found = max(((self._cover.share(question, one), one) for one in sentences), default=(0.0, None))
        if share < QUOTED:
            found = self._meaning.nearest(question, sentences) if about_it and self._meaning else None
        return f"{found}。" if found else None

    def evidence(self, texts: Sequence[str]) -> Numbers:
        """Texts × (answers and, last, none) × the kinds of evidence."""
        found = np.zeros((len(texts), len(self.ids) + 1, 4), dtype=np.float32)
        found[:, :-1, COVER] = self._cover.scores(texts)
        found[:, -1, [WORDS, TOPIC]] = REFUSED
        for kind, words, labels in (
            (WORDS, self._words, [*self.ids, NONE]),
            (TOPIC, self._topics, [*(topic for _, topic in self._subjects), NONE]),
        ):
            if words:
                known = [place for place, label in enumerate(labels) if label in words.places]
                found[:, known, kind] = words.scores(texts)[:, [words.places[labels[place]] for place in known]]
        if self._meaning:
            scores = self._meaning.scores(texts)
            found[:, : scores.shape[1], MEANING] = scores
        return found

    def save(self, folder: Path) -> None:
        for name, words in (("words", self._words), ("topics", self._topics)):
            if words:
                words.save(folder, name)
        if self._meaning:
            self._meaning.save(folder)
        self._cover.save(folder)
        state = {
            "subjects": self._subjects,
            "asked": self._asked,
            "judge": asdict(self._judge),
            "by_words": asdict(self._by_words),
            "read_by": self._meaning.read_by if self._meaning else None,
        }
        _write(folder / "retriever.json", state)

    @classmethod
    def load(cls, folder: Path, encoder: Encoder | None) -> Retriever:
        """What :meth:`save` has stored; by words alone with another encoder than the one that it was learned with, or
        none. Raises OSError where nothing is."""
        state = _read(folder / "retriever.json")
        words, topics = Words.load(folder, "words"), Words.load(folder, "topics")
        if words is None:
            raise FileNotFoundError(folder / "words.npz")
        judge, by_words, read_by = Judge(**state["judge"]), Judge(**state["by_words"]), state["read_by"]
        meaning = None
        if read_by is not None and encoder and encoder.name == read_by:
            meaning = Meaning.load(encoder, folder)
        elif read_by is not None:  # a judge that counts on meaning would be far too unsure of everything
            log.warning(
                "answers are found by words alone: the encoder that has read them is not here / 仅按字词检索答案"
            )
            judge = by_words
        subjects = [(str(subject), str(topic)) for subject, topic in state["subjects"]]
        return cls(subjects, state["asked"], words, topics, meaning, Cover.load(folder), judge, by_words)


def _spelled(text: str) -> str:
    return " ".join(cut(text))


def _write(path: Path, state: dict[str, Any]) -> None:
    path.write_text(json.dumps(state, ensure_ascii=False), "utf-8")


def _read(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return state
