"""How a customer feels: what the lines teach, what the score counts, and which words are told to trainers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.resource import Resource
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.training_data.training_data import TrainingData

import settings
from bot.components.worry import WorryFinder, feeling, read
from tests.bot.components.test_classifier import Storage, messages

FOLDER = settings.ROOT / "bot" / "data" / "worry"
CALM = (
    "退款一般几天",
    "发票怎么开",
    "有没有黑色",
    "你好",
    "想买一双鞋",
    "快递到哪了",
    "怎么还款",
    "怎么还要税号",
    "还没想好买哪个",
)
SURE = {"worry": 0.5, "anger": 0.4, "urge": 0.5}


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    config = WorryFinder.get_default_config() | {"folder": str(FOLDER), "folds": 2}
    return config, Storage(tmp_path_factory.mktemp("worry")), Resource("worry"), ExecutionContext(GraphSchema({}))


@pytest.fixture(scope="module")
def trained(arguments: tuple[Any, ...]) -> WorryFinder:
    finder = WorryFinder.create(*arguments)
    finder.train(TrainingData(messages(*CALM, intent="ask_policy") + messages("好担心收不到", intent="worry_delivery")))
    return finder


def felt(finder: WorryFinder, text: str) -> dict[str, Any]:
    (message,) = finder.process(messages(text))
    worry: dict[str, Any] = message.get("worry")
    return worry


@pytest.mark.parametrize(
    ("text", "label"),
    [
        *(("这包裹不会丢了吧 我好担心", "worry"), ("會不會來不及 有點擔心", "worry"), ("worried it's lost", "worry")),
        *(("什么破客服 骗子", "anger"), ("呵呵 你们可真快", "anger"), ("谢谢你们让我白等一整天", "anger")),
        *(("怎么还不发货 快点", "urge"), ("麻烦尽快退款", "urge"), ("催一下快递", "urge")),
        *(("什么时候发货", "neutral"), ("不用担心 我自己拿", "neutral"), ("您放心 今天一定发", "neutral")),
        *(("谢谢 太感谢了", "neutral"), ("怎么投诉", "neutral"), ("不急 慢慢来", "neutral")),
    ],
)
def test_the_feeling_is_told_from_the_words(trained: WorryFinder, text: str, label: str) -> None:
    worry = felt(trained, text)
    assert worry["label"] == label
    assert (worry["score"] > 0.4) is (label in ("worry", "anger"))


def test_the_cues_are_words_of_the_message(trained: WorryFinder) -> None:
    text = "这包裹不会丢了吧 我好担心"
    cues = felt(trained, text)["cues"]
    assert 1 <= len(cues) <= 3
    assert all(cue in text.replace(" ", "") for cue in cues)
    assert felt(trained, "什么时候发货")["cues"] == []


def test_what_was_stored_is_what_was_learned(trained: WorryFinder, arguments: tuple[Any, ...]) -> None:
    loaded = WorryFinder.load(*arguments)
    for text in ("会不会丢啊", "气死我了", "😀", "ⵣⵣ", "ORD12345"):
        assert felt(loaded, text) == felt(trained, text)


@pytest.mark.parametrize(
    ("worry", "anger", "urge", "label"),
    [
        (0.5, 0.3, 0.1, "worry"),
        (0.49, 0.1, 0.1, "neutral"),  # the most probable, and not sure enough
        (0.3, 0.4, 0.2, "anger"),
        (0.0, 0.0, 1.0, "urge"),
    ],
)
def test_a_feeling_counts_from_its_own_probability(worry: float, anger: float, urge: float, label: str) -> None:
    assert feeling({"worry": worry, "anger": anger, "urge": urge}, SURE) == label


class Sure:
    """Stands for a classifier that finds anger in everything."""

    labels = ("neutral", "anger", "worry", "urge")

    def __init__(self, folder: Path) -> None:
        pass

    def probabilities(self, text: str) -> Any:
        return np.array([0.05, 0.9, 0.03, 0.02])


def test_a_classifier_that_is_named_decides(
    trained: WorryFinder, arguments: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORRY_MODEL", str(tmp_path))
    with pytest.raises(InvalidConfigException, match="cannot be used"):
        WorryFinder.load(*arguments)
    monkeypatch.setattr("bot.components.worry.Classifier", Sure)
    assert felt(WorryFinder.load(*arguments), "什么时候发货") == {"score": 0.93, "label": "anger", "cues": ANY}
    monkeypatch.setattr(Sure, "labels", ("positive", "negative"))
    with pytest.raises(InvalidConfigException, match="labels"):
        WorryFinder.load(*arguments)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("joy: |\n  - 真好", "and nothing else"),
        ("worry: |\n  担心", "担心"),
        ("worry: |\n  - 担心", "lines of each"),
        ("- 担心", "and nothing else"),
    ],
)
def test_a_file_that_is_not_well_made_is_refused(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "lines.yml").write_text(content, "utf-8")
    with pytest.raises(InvalidConfigException, match=told):
        read(tmp_path)
