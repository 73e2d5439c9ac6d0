"""Features and classifiers measured on every held-out file and by cross-validation: ``python -m tests.nlu.compare``.

Rasa's environment. Prints a row for each: seconds of training; share of training lines that are understood by a machine
that learned from two thirds of the others; share of each held-out file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pypinyin import lazy_pinyin
from rasa.shared.nlu.training_data.message import Message
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import LinearSVC

import settings
from bot.components.linear import features
from bot.components.tokenizer import CharacterTokenizer
from tests.nlu.evaluate import HERE, lines

Words = Sequence[str]


def runs(longest: int) -> Callable[[Words], list[str]]:
    def made(words: Words) -> list[str]:
        return [" ".join(words[i : i + n]) for n in range(1, longest + 1) for i in range(len(words) - n + 1)]

    return made


def with_gaps(words: Words) -> list[str]:
    return features(words) + [f"{one}_{other}" for one, other in zip(words, words[2:], strict=False)]


def with_sounds(words: Words) -> list[str]:
    sounds = lazy_pinyin(list(words))
    return features(words) + [f"~{sound}" for sound in runs(2)(sounds)]


def regression(c: float) -> LogisticRegression:
    return LogisticRegression(solver="liblinear", C=c, tol=0.01)


CANDIDATES: dict[str, tuple[Callable[[Words], list[str]], Any]] = {
    "linear SVM, C = 2, features of the pipeline": (features, LinearSVC(C=2, random_state=0)),
    "linear SVM, C = 0.5": (features, LinearSVC(C=0.5, random_state=0)),
    "logistic regression, C = 60": (features, regression(60)),
    "linear SVM, with pairs across a gap": (with_gaps, LinearSVC(C=2, random_state=0)),
    "linear SVM, with sounds (pinyin)": (with_sounds, LinearSVC(C=2, random_state=0)),
    "linear SVM, runs of 1 to 2": (runs(2), LinearSVC(C=2, random_state=0)),
    "linear SVM, runs of 1 to 3": (runs(3), LinearSVC(C=2, random_state=0)),
    "logistic regression, runs of 1 to 3": (runs(3), regression(60)),
    "network of 128 neurons, 8 rounds": (
        features,
        MLPClassifier((128,), batch_size=64, learning_rate_init=2e-3, max_iter=8, random_state=0),
    ),
}


def words(text: str) -> list[str]:
    tokenizer = CharacterTokenizer(CharacterTokenizer.get_default_config())
    return [token.text for token in tokenizer.tokenize(Message({"text": text}), "text")]


def pairs(*paths: Path) -> tuple[list[list[str]], list[str]]:
    found = [pair for path in paths for pair in lines(path)]
    return [words(text) for text, _ in found], [intent for _, intent in found]


def main() -> None:
    texts, intents = pairs(*sorted((settings.ROOT / "bot" / "data" / "nlu").glob("*.yml")))
    files = {path.stem: pairs(path) for path in sorted(HERE.glob("heldout*.yml"))}
    print("", "training", "cross-validation", *files, sep=" | ")
    for name, (made, classifier) in CANDIDATES.items():
        machine = make_pipeline(CountVectorizer(analyzer=made, binary=True), Normalizer(), classifier)
        start = time.perf_counter()
        machine.fit(texts, intents)
        row = [f"{time.perf_counter() - start:.0f} s", f"{cross_val_score(machine, texts, intents, cv=3).mean():.1%}"]
        row += [f"{np.mean(machine.predict(held_out) == np.array(truth)):.1%}" for held_out, truth in files.values()]
        print(name, *row, sep=" | ", flush=True)


if __name__ == "__main__":
    main()
