"""What a message is made of, and a linear model over it: learned in a second, asked in a fraction of a millisecond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.utils.io import dump_obj_as_json_to_file, read_json_file
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

Numbers = NDArray[np.floating[Any]]

_LENGTHS = (1, 2, 3, 4, 7, 11, 17)
_PIECE = 4
"""Letters of a piece of a Latin word: "refunded" and "refund" share some."""


def words(message: Message) -> list[str]:
    """The texts of the tokens that the tokenizer left."""
    return [token.text for token in message.get("text_tokens")]


def features(cut: Sequence[str]) -> list[str]:
    """What is weighed of a message that is ``cut`` into words. Only its own signs hold characters like ^ or &."""
    edged = ["^", *cut, "$"]
    latin = [f"<{word}>" for word in cut if word.isascii() and word.isalpha() and len(word) >= _PIECE]
    return [
        *cut,
        *(f"{one} {other}" for one, other in pairwise(edged)),
        *(f"&{word[i : i + _PIECE]}" for word in latin for i in range(len(word) - _PIECE + 1)),
        f"#{max(length for length in _LENGTHS if length <= len(cut))}",
    ]


def machine(c: float) -> LinearSVC:
    return LinearSVC(C=c, random_state=0)


def matrix(lines: Sequence[Sequence[str]]) -> tuple[list[str], Any]:
    """The names of all features of ``lines``, and a sparse matrix (lines × features) of rows of unit length."""
    counting = CountVectorizer(analyzer=features, binary=True, dtype=np.float32)
    counts = counting.fit_transform(lines)
    return counting.get_feature_names_out().tolist(), normalize(counts)


@dataclass(frozen=True)
class Linear:
    """A trained model: ``weights`` are features × labels."""

    labels: list[str]
    columns: dict[str, int]
    weights: Numbers
    bias: Numbers

    @classmethod
    def of(cls, trained: LinearSVC, vocabulary: Sequence[str], sharpness: float = 1.0) -> Linear:
        columns = {feature: column for column, feature in enumerate(vocabulary)}
        weights = np.ascontiguousarray(sharpness * trained.coef_.T, dtype=np.float32)
        return cls([str(label) for label in trained.classes_], columns, weights, sharpness * trained.intercept_)

    def scores(self, cut: Sequence[str]) -> Numbers:
        """Of each label. What is not known makes a message longer, and its scores smaller."""
        found = set(features(cut))
        known = sorted(self.columns[feature] for feature in found if feature in self.columns)
        scores: Numbers = self.weights[known].sum(axis=0) / np.sqrt(len(found)) + self.bias
        return scores

    def store(self, folder: Path) -> None:
        np.savez(folder / "numbers.npz", weights=self.weights, bias=self.bias)
        dump_obj_as_json_to_file(folder / "names.json", [self.labels, list(self.columns)])

    @classmethod
    def load(cls, folder: Path) -> Linear:
        labels, vocabulary = read_json_file(folder / "names.json")
        numbers = np.load(folder / "numbers.npz", allow_pickle=False)
        columns = {feature: column for column, feature in enumerate(vocabulary)}
        return cls(labels, columns, numbers["weights"], numbers["bias"])
