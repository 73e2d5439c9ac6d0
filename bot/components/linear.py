"""What a message is made of, and a linear model over it: learned in a second, asked in a fraction of a millisecond."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
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

Named = Callable[[Sequence[str]], list[str]]

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


def matrix(lines: Sequence[Sequence[str]], named: Named = features) -> tuple[list[str], Any]:
    """The names of all features of ``lines``, and a sparse matrix (lines × features) of rows of unit length.
    ``named``: what names those of a line that is cut into words."""
    counting = CountVectorizer(analyzer=named, binary=True, dtype=np.float32)
    counts = counting.fit_transform(lines)
    return counting.get_feature_names_out().tolist(), normalize(counts)


def rarity(counts: Any) -> Numbers:
    """Of each feature of a :func:`matrix`: how much it says that a line has it, the more the fewer do."""
    found: Numbers = np.log(counts.shape[0] / (1 + np.asarray((counts > 0).sum(axis=0)).ravel())).astype(np.float32)
    return found


@dataclass(frozen=True)
class Linear:
    """A trained model: ``weights`` are features × labels. Where features have a ``rarity``, it is in their weights."""

    labels: list[str]
    columns: dict[str, int]
    weights: Numbers
    bias: Numbers
    rarity: Numbers | None = None

    @classmethod
    def of(
        cls, trained: LinearSVC, vocabulary: Sequence[str], sharpness: float = 1.0, rarity: Numbers | None = None
    ) -> Linear:
        """``rarity``: what the columns were multiplied with before their rows got unit length."""
        columns = {feature: column for column, feature in enumerate(vocabulary)}
        weights = sharpness * trained.coef_.T
        weights = np.ascontiguousarray(weights if rarity is None else weights * rarity[:, None], dtype=np.float32)
        return cls([str(label) for label in trained.classes_], columns, weights, sharpness * trained.intercept_, rarity)

    def scores(self, cut: Sequence[str]) -> Numbers:
        """Of each label."""
        return self.weighed(set(features(cut)))

    def weighed(self, found: Collection[str]) -> Numbers:
        """The same of features. What is not known makes a message longer, and its scores smaller; it has no rarity."""
        known = sorted(self.columns[feature] for feature in found if feature in self.columns)
        length = np.sqrt(len(found)) if self.rarity is None else np.linalg.norm(self.rarity[known]) or 1.0
        scores: Numbers = self.weights[known].sum(axis=0) / length + self.bias
        return scores

    def store(self, folder: Path) -> None:
        rare = {} if self.rarity is None else {"rarity": self.rarity}
        np.savez(folder / "numbers.npz", weights=self.weights, bias=self.bias, **rare)
        dump_obj_as_json_to_file(folder / "names.json", [self.labels, list(self.columns)])

    @classmethod
    def load(cls, folder: Path) -> Linear:
        labels, vocabulary = read_json_file(folder / "names.json")
        numbers = np.load(folder / "numbers.npz", allow_pickle=False)
        columns = {feature: column for column, feature in enumerate(vocabulary)}
        rare = numbers["rarity"] if "rarity" in numbers.files else None
        return cls(labels, columns, numbers["weights"], numbers["bias"], rare)
