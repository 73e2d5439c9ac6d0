"""Pipelines measured side by side: ``python -m tests.nlu.compare``, or only those whose name holds an argument.

Rasa's environment; minutes, and with DIET the better part of an hour. Each candidate learns in a process of its own
from ``bot/data/nlu`` and is asked every line of the held-out files, one at a time. Entities are found by rule in every
pipeline (``entities.yml`` measures them), so they make no difference here.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pypinyin import lazy_pinyin
from rasa.core.agent import Agent
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.model_training import train_nlu
from rasa.nlu.featurizers.dense_featurizer.dense_featurizer import DenseFeaturizer
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.features import Features
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import write_yaml
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import Normalizer
from sklearn.svm import LinearSVC

import settings
from bot.components import linear
from bot.components.classifier import scores_unseen, sharpness_of_learning
from bot.components.tokenizer import CharacterTokenizer
from tests.nlu.evaluate import HERE, OUT_OF_SCOPE, Guess, figures, guesses, lines, table

TRAINING = settings.ROOT / "bot" / "data" / "nlu"
EPOCHS = 15
DIMENSIONS = 256

Words = Sequence[str]
Lines = Sequence[tuple[str, str]]
Analyzer = Callable[[Words], list[str]]


def words(text: str) -> list[str]:
    tokenizer = CharacterTokenizer(CharacterTokenizer.get_default_config())
    return [token.text for token in tokenizer.tokenize(Message({"text": text}), "text")]


# ---- what a message is made of


def _runs(longest: int, cut: Words) -> list[str]:
    return [" ".join(cut[i : i + n]) for n in range(1, longest + 1) for i in range(len(cut) - n + 1)]


pairs, triples = partial(_runs, 2), partial(_runs, 3)


def with_sounds(cut: Words) -> list[str]:
    return linear.features(cut) + [f"~{sound}" for sound in _runs(2, lazy_pinyin(list(cut)))]


def counted(analyzer: Analyzer) -> Any:
    return make_pipeline(CountVectorizer(analyzer=analyzer, binary=True, dtype=np.float32), Normalizer())


def dense(analyzer: Analyzer = linear.features) -> Any:
    """A sentence encoder of its own, in numpy: latent semantic analysis of the training lines."""
    return make_pipeline(
        TfidfVectorizer(analyzer=analyzer, sublinear_tf=True),
        TruncatedSVD(DIMENSIONS, random_state=0),
        Normalizer(),
    )


# ---- what learns from it


class Machine(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The linear SVM of the pipeline, its scores made probabilities by cross-validation."""

    def __init__(self, c: float = 2.0) -> None:
        self.c = c

    def fit(self, features: Any, intents: Sequence[str]) -> Machine:
        self.classes_, truth = np.unique(intents, return_inverse=True)
        self.sharp_ = sharpness_of_learning(scores_unseen(features, truth, self.c, folds=3), truth, folds=3)
        self.machine_ = LinearSVC(C=self.c, random_state=0).fit(features, truth)
        return self

    def predict_proba(self, features: Any) -> Any:
        return softmax(self.sharp_ * self.machine_.decision_function(features), axis=1)


@dataclass(frozen=True)
class Sklearn:
    featurizer: Any
    classifier: Any

    def learn(self, folder: Path) -> Path:
        found = [pair for path in sorted(TRAINING.glob("*.yml")) for pair in lines(path)]
        model = make_pipeline(self.featurizer, self.classifier)
        model.fit([words(text) for text, _ in found], [intent for _, intent in found])
        (folder / "model").write_bytes(pickle.dumps(model))
        return folder / "model"

    def ask(self, model: Path, pairs: Lines) -> list[Guess]:
        trained, found = pickle.loads(model.read_bytes()), []  # noqa: S301 (written a moment ago)
        intents: list[str] = list(trained.classes_)
        for text, truth in pairs:
            start = time.perf_counter()
            probabilities = trained.predict_proba([words(text)])[0]
            seconds = time.perf_counter() - start
            best, outside = int(np.argmax(probabilities)), float(probabilities[intents.index(OUT_OF_SCOPE)])
            found.append(Guess(text, truth, intents[best], float(probabilities[best]), outside, None, seconds))
        return found


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=False)
class EncoderFeaturizer(DenseFeaturizer, GraphComponent):  # type: ignore[misc]  # Rasa has no types
    """:func:`dense` of each message, as Rasa's components want it."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__("encoder", config)
        self._encoder = pickle.loads(Path(config["file"]).read_bytes())  # noqa: S301 (written a moment ago)

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> EncoderFeaturizer:
        return cls(config)

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Nothing to check."""

    def process(self, messages: list[Message]) -> list[Message]:
        said = [message for message in messages if message.get(TEXT)]
        vectors = self._encoder.transform([linear.words(message) for message in said])
        for message, vector in zip(said, vectors.astype(np.float32), strict=True):
            tokens = len(linear.words(message))
            for rows, kind in ((np.tile(vector, (tokens, 1)), "sequence"), (vector[None, :], "sentence")):
                message.add_features(Features(rows, kind, TEXT, "encoder"))
        return messages

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        self.process(training_data.training_examples)
        return training_data


@dataclass(frozen=True)
class Diet:
    """Rasa's own classifier."""

    with_encoder: bool = False

    def learn(self, folder: Path) -> Path:
        pipeline: list[dict[str, Any]] = [
            {"name": "bot.components.tokenizer.CharacterTokenizer"},
            {"name": "CountVectorsFeaturizer", "token_pattern": r"(?u)\S+", "min_ngram": 1, "max_ngram": 2},
        ]
        if self.with_encoder:
            found = [words(text) for path in sorted(TRAINING.glob("*.yml")) for text, _ in lines(path)]
            (folder / "encoder").write_bytes(pickle.dumps(dense().fit(found)))
            pipeline.append(
                {"name": f"{EncoderFeaturizer.__module__}.EncoderFeaturizer", "file": str(folder / "encoder")}
            )
        learner = {"name": "DIETClassifier", "entity_recognition": False, "epochs": EPOCHS, "batch_size": [128, 256]}
        pipeline.append(learner | {"random_seed": 0, "constrain_similarities": True, "ranking_length": 0})
        config = {"recipe": "default.v1", "assistant_id": "compare", "language": "zh", "pipeline": pipeline}
        write_yaml(config, folder / "config.yml")
        return Path(train_nlu(str(folder / "config.yml"), str(TRAINING), str(folder), fixed_model_name="diet") or "")

    def ask(self, model: Path, pairs: Lines) -> list[Guess]:
        return asyncio.run(guesses(Agent.load(str(model)), pairs))


def regression() -> LogisticRegression:
    return LogisticRegression(solver="liblinear", C=60, tol=0.01)


def network() -> MLPClassifier:
    return MLPClassifier((128,), batch_size=64, learning_rate_init=2e-3, max_iter=8, random_state=0)


PLAIN = counted(linear.features)
BOTH = make_union(PLAIN, dense())
CANDIDATES: dict[str, Sklearn | Diet] = {
    "linear SVM on the pipeline's features (chosen)": Sklearn(PLAIN, Machine()),
    "logistic regression on the pipeline's features": Sklearn(PLAIN, regression()),
    "linear SVM, 1 to 2 characters": Sklearn(counted(pairs), Machine()),
    "linear SVM, 1 to 3 characters": Sklearn(counted(triples), Machine()),
    "logistic regression, 1 to 3 characters": Sklearn(counted(triples), regression()),
    "linear SVM, with sounds (pinyin)": Sklearn(counted(with_sounds), Machine()),
    "encoder alone, logistic regression": Sklearn(dense(), regression()),
    "linear SVM, with the encoder": Sklearn(BOTH, Machine()),
    "network of 128 neurons": Sklearn(PLAIN, network()),
    "network of 128 neurons, with the encoder": Sklearn(BOTH, network()),
    "DIET, 1 to 2 characters": Diet(),
    "DIET, 1 to 2 characters, with the encoder": Diet(with_encoder=True),
}


def measure(name: str, answers: multiprocessing.SimpleQueue[list[object]]) -> None:
    """Runs in a process of its own."""
    files = {path.stem: list(lines(path)) for path in sorted(HERE.glob("heldout*.yml"))}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        model = CANDIDATES[name].learn(Path(folder))
        seconds = time.perf_counter() - start
        size = model.stat().st_size / 2**20
        found = {file: CANDIDATES[name].ask(model, pairs) for file, pairs in files.items()}
    gated, *others = found.values()
    told = figures(gated)
    row = [told[key] for key in ("accuracy", "macro F1", "out-of-scope AUROC", "ECE")]
    row += [figures(other)["accuracy"] for other in others]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answers.put([*row, f"{seconds:.0f}", told["parse p50 ms"], told["parse p95 ms"], f"{size:.0f}", f"{memory:.0f}"])


def main() -> None:
    head = ["", "accuracy", "macro F1", "AUROC", "ECE", "service", "shopping"]
    head += ["training s", "p50 ms", "p95 ms", "model MB", "peak MiB"]
    print(table(head, []), flush=True)
    wanted = sys.argv[1:]
    context = multiprocessing.get_context("spawn")
    for name in CANDIDATES:
        if wanted and not any(word in name for word in wanted):
            continue
        answers = context.SimpleQueue()
        process = context.Process(target=measure, args=(name, answers))
        process.start()
        process.join()
        row = answers.get() if process.exitcode == 0 else ["failed"]
        print("| " + " | ".join(map(str, [name, *row])) + " |", flush=True)


if __name__ == "__main__":
    main()
