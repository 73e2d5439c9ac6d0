"""The classifier learns, forgets nothing when it is stored, and is as sure as it is right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.resource import Resource
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.components.classifier import LinearIntentClassifier, Mix, opinion, sharpness
from bot.components.tokenizer import CharacterTokenizer

tokenizer = CharacterTokenizer(CharacterTokenizer.get_default_config())

LINES = {
    "greet": ["你好", "您好呀", "在吗"],
    "thank": ["谢谢", "多谢啦", "感谢"],
    "refund": ["退款", "退我钱", "把钱退回来", "refund please"],
    "rare": ["阿巴阿巴"],
}


class Storage:
    """The part of Rasa's model storage that a component uses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def write_to(self, resource: Resource) -> Iterator[Path]:
        yield self.folder

    read_from = write_to


def messages(*texts: str, intent: str | None = None) -> list[Message]:
    made = [Message({"text": text} | ({"intent": intent} if intent else {})) for text in texts]
    for message in made:
        message.set("text_tokens", tokenizer.tokenize(message, "text"))
    return made


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[Any, ...]:
    config = LinearIntentClassifier.get_default_config() | {"ranking_length": 3}
    return config, Storage(tmp_path), Resource("classifier"), ExecutionContext(GraphSchema({}))


@pytest.fixture
def trained(arguments: tuple[Any, ...]) -> LinearIntentClassifier:
    classifier = LinearIntentClassifier.create(*arguments)
    lines = [message for intent, texts in LINES.items() for message in messages(*texts, intent=intent)]
    classifier.train(TrainingData(lines))
    return classifier


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        *(("你好你好", "greet"), ("太感谢了", "thank"), ("退钱", "refund"), ("refunded", "refund"), ("阿巴", "rare")),
        *(("tuikuan", "refund"), ("tui wo qian a", "refund"), ("duoxie", "thank"), ("zaima zaima", "greet")),
    ],
)
def test_it_generalises(trained: LinearIntentClassifier, text: str, intent: str) -> None:
    (message,) = trained.process(messages(text))
    assert message.get("intent")["name"] == intent


def test_the_ranking_is_sorted_short_and_plain(trained: LinearIntentClassifier) -> None:
    (message,) = trained.process(messages("退款 谢谢"))
    ranking = message.get("intent_ranking")
    assert [type(guess["confidence"]) for guess in ranking] == [float] * 3
    assert ranking[0] == message.get("intent")
    assert sorted((guess["confidence"] for guess in ranking), reverse=True) == [g["confidence"] for g in ranking]


def test_what_was_stored_is_what_was_learned(trained: LinearIntentClassifier, arguments: tuple[Any, ...]) -> None:
    texts = ("你好呀", "退我的钱", "😀", "ORD12345", "zzz 未知")
    loaded = LinearIntentClassifier.load(*arguments)
    learned, stored = ([m.get("intent_ranking") for m in one.process(messages(*texts))] for one in (trained, loaded))
    assert learned == stored


def test_probabilities_are_of_all_intents(arguments: tuple[Any, ...], trained: LinearIntentClassifier) -> None:
    everything = LinearIntentClassifier.load(arguments[0] | {"ranking_length": 99}, *arguments[1:])
    (message,) = everything.process(messages("你好 退款"))
    assert sum(guess["confidence"] for guess in message.get("intent_ranking")) == pytest.approx(1)


def test_nothing_known_is_no_error(trained: LinearIntentClassifier) -> None:
    (message,) = trained.process(messages("ⵣⵣ"))
    assert message.get("intent")["confidence"] < 0.9


def test_confidence_is_as_high_as_the_share_that_is_right() -> None:
    """Three intents; in four of five lines the highest score is the right one, by one point."""
    scores = np.tile([1.0, 0.0, 0.0], (1000, 1))
    truth = np.repeat([0, 1, 2], [800, 100, 100])
    sharp = sharpness(scores, truth)
    assert np.exp(sharp) / (np.exp(sharp) + 2) == pytest.approx(0.8, abs=1e-3)


class Knowing:
    """Stands for an encoder that is sure of one of its intents."""

    labels = ("thank", "refund", "gone")
    name = "knowing"

    def __init__(self, intent: str) -> None:
        self.intent = intent
        self.asked: list[str] = []

    def intents(self, texts: list[str]) -> NDArray[np.float32]:
        self.asked += texts
        row = [0.98 if label == self.intent else 0.01 for label in self.labels]
        return np.array([row] * len(texts), dtype=np.float32)


LABELS = ["greet", "refund", "thank"]


def test_an_opinion_is_of_the_intents_that_both_know() -> None:
    (said,) = opinion(Knowing("refund"), LABELS, ["退了"])  # type: ignore[arg-type]
    assert said == pytest.approx([0, 0.98 / 0.99, 0.01 / 0.99])
    (said,) = opinion(Knowing("gone"), LABELS, ["退了"])  # type: ignore[arg-type]
    assert said == pytest.approx([0, 0.5, 0.5])


@pytest.mark.parametrize(
    ("quick", "said", "both"),
    [
        ([0.0, 0.6, 0.4], [0.0, 0.2, 0.8], [0.0, 0.4, 0.6]),  # half and half
        ([0.5, 0.3, 0.2], [0.0, 0.2, 0.8], [0.5, 0.2, 0.3]),  # of greet it knows nothing
        ([1.0, 0.0, 0.0], [0.0, 0.2, 0.8], [1.0, 0.0, 0.0]),
    ],
)
def test_an_intent_that_the_encoder_does_not_know_is_the_quick_models(
    quick: list[float], said: list[float], both: list[float]
) -> None:
    assert Mix().mixed(np.array([quick]), np.array([said]))[0] == pytest.approx(both, abs=1e-6)


@pytest.mark.parametrize(
    ("sure", "asked"),
    [
        (0.0, False),  # never
        (1.0, True),
        (0.01, False),  # sure enough
    ],
)
def test_the_encoder_is_asked_where_the_quick_model_is_unsure(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[Any, ...], sure: float, asked: bool
) -> None:
    knowing = Knowing("thank")
    monkeypatch.setattr("encoder.load", lambda: knowing)
    classifier = LinearIntentClassifier.create(arguments[0] | {"sure": sure}, *arguments[1:])
    classifier.train(TrainingData([line for name, texts in LINES.items() for line in messages(*texts, intent=name)]))
    knowing.asked.clear()
    (message,) = LinearIntentClassifier.load(arguments[0] | {"sure": sure}, *arguments[1:]).process(messages("退了吧"))
    assert knowing.asked == ["退了吧"] * asked
    thanks = sum(guess["confidence"] for guess in message.get("intent_ranking") if guess["name"] == "thank")
    assert (thanks > 0.3) == asked


def test_the_training_log_names_what_the_encoder_does_not_know(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("encoder.load", lambda: Knowing("thank"))
    classifier = LinearIntentClassifier.create(arguments[0] | {"sure": 0.9}, *arguments[1:])
    classifier.train(TrainingData([line for name, texts in LINES.items() for line in messages(*texts, intent=name)]))
    assert "does not know greet, rare" in caplog.text


def test_without_the_encoder_the_quick_model_decides(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[Any, ...]
) -> None:
    monkeypatch.setattr("encoder.load", lambda: None)
    config = arguments[0] | {"sure": 1.0}
    classifier = LinearIntentClassifier.create(config, *arguments[1:])
    classifier.train(TrainingData([line for name, texts in LINES.items() for line in messages(*texts, intent=name)]))
    (message,) = LinearIntentClassifier.load(config, *arguments[1:]).process(messages("退款啦"))
    assert message.get("intent")["name"] == "refund"


def test_the_mix_is_as_sure_as_it_is_right() -> None:
    """Of a hundred unsure lines the quick model has half right and the encoder, always sure, nine in ten."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 300)
    quick, said = np.full((300, 3), 0.25), np.full((300, 3), 0.01)
    guessed = np.where(random.random(300) < 0.5, truth, (truth + 1) % 3)
    told = np.where(random.random(300) < 0.9, truth, (truth + 1) % 3)
    quick[np.arange(300), guessed], said[np.arange(300), told] = 0.5, 0.98
    found = Mix.learn(quick, said, truth, sure=0.9).mixed(quick, said)
    right = found.argmax(axis=1) == truth
    assert right.mean() > 0.85
    assert found.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.03)
