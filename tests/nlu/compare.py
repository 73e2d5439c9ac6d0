"""Classifiers over the pipeline's features, measured on every held-out file: ``python -m tests.nlu.compare``.

Rasa's environment. Prints a line for each: seconds of training, accuracy by file, the weakest intent of heldout.yml.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rasa.shared.nlu.training_data.message import Message
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

import settings
from bot.components.tokenizer import CharacterTokenizer
from tests.nlu.evaluate import HERE, lines

CLASSIFIERS: dict[str, Any] = {
    "logistic regression, one against the rest, C = 60 (the pipeline)": LogisticRegression(
        solver="liblinear", C=60, tol=0.01
    ),
    "logistic regression, multinomial, C = 30, 100 iterations": LogisticRegression(C=30, tol=0.2, max_iter=100),
    "linear SVM, C = 0.5": LinearSVC(C=0.5),
    "linear SVM, C = 0.25, balanced": LinearSVC(C=0.25, class_weight="balanced"),
}


def words(texts: Sequence[str]) -> list[str]:
    tokenizer = CharacterTokenizer(CharacterTokenizer.get_default_config())
    return [" ".join(t.text for t in tokenizer.tokenize(Message({"text": text}), "text")) for text in texts]


def pairs(*paths: Path) -> tuple[list[str], list[str]]:
    found = [pair for path in paths for pair in lines(path)]
    return words([text for text, _ in found]), [intent for _, intent in found]


def main() -> None:
    texts, intents = pairs(*sorted((settings.ROOT / "bot" / "data" / "nlu").glob("*.yml")))
    vectorizer = CountVectorizer(token_pattern=r"(?u)\S+", ngram_range=(1, 3))
    features = normalize(vectorizer.fit_transform(texts))
    files = {path.stem: pairs(path) for path in sorted(HERE.glob("heldout*.yml"))}
    for name, classifier in CLASSIFIERS.items():
        start = time.perf_counter()
        classifier.fit(features, intents)
        row = [f"{time.perf_counter() - start:.0f} s"]
        for file, (held_out, truth) in files.items():
            guesses = classifier.predict(normalize(vectorizer.transform(held_out)))
            row.append(f"{file} {np.mean(guesses == np.array(truth)):.4f}")
            if file == "heldout":
                names = sorted(set(truth))
                scores = f1_score(truth, guesses, labels=names, average=None, zero_division=0)
                row.append(f"weakest {names[int(np.argmin(scores))]} F1 {min(scores):.2f}")
        print(name, *row, sep=" | ", flush=True)


if __name__ == "__main__":
    main()
