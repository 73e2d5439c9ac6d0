"""Words that trainers list become entities: the longest wins, Latin words stand alone, a slip in a list is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

import settings
from bot.components.lookup import LookupEntityExtractor, read_lookups

REASONS = """
dislike: [不喜欢, 颜色不喜欢]
wrong_size: [尺码不合适, 太小]
other: [other]
rude: [快递…骂人, 骂人, driver … rude]
"""


@pytest.fixture
def extractor(tmp_path: Path) -> LookupEntityExtractor:
    """Trained, and loaded again from what the training kept."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "reason.yml").write_text(REASONS, "utf-8")
    (tmp_path / "model").mkdir()
    storage, resource = LocalModelStorage(tmp_path / "model"), Resource("lookup")
    folder = tmp_path / "lists"
    LookupEntityExtractor({}, storage, resource, folder).train(TrainingData())
    (folder / "reason.yml").unlink()
    return LookupEntityExtractor.load({"folder": str(folder)}, storage, resource, None)


def test_goods_that_are_left_as_they_are_are_not_named(tmp_path: Path) -> None:
    (tmp_path / "category.yml").write_text("扫地机器人: [扫地机]\n空气炸锅: [炸锅]\n", "utf-8")
    storage, resource = LocalModelStorage(tmp_path), Resource("lookup")
    lookup = LookupEntityExtractor({}, storage, resource, tmp_path)
    lookup.train(TrainingData())
    (said,) = lookup.process([Message({"text": "炸锅不要了 扫地机留着"})])
    assert [one["value"] for one in said.get("entities")] == ["空气炸锅"]


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("颜色不喜欢", "dislike", "颜色不喜欢"),
        ("就是不喜欢", "dislike", "不喜欢"),
        ("顏色不喜歡啊", "dislike", "顏色不喜歡"),
        ("尺码　不合适", None, None),
        ("鞋子太小了", "wrong_size", "太小"),
        ("Other!", "other", "Other"),
        ("another one", None, None),
        ("那个快递员他居然骂人的", "rude", "快递员他居然骂人"),
        ("快递到了。客服骂人", "rude", "骂人"),
        ("your driver was so rude", "rude", "driver was so rude"),
        ("快递到了", None, None),
        ("没有尺码不合适，就是不喜欢", "dislike", "不喜欢"),
        ("不是因为太小", None, None),
        ("是不是太小了", "wrong_size", "太小"),
        ("有没有太小的", "wrong_size", "太小"),
        ("", None, None),
    ],
)
def test_phrases(extractor: LookupEntityExtractor, text: str, value: str | None, words: str | None) -> None:
    (message,) = extractor.process([Message({"text": text})])
    said = [one for one in message.get("entities") if one["entity"] != "reason_denied"]
    assert [(one["value"], text[one["start"] : one["end"]]) for one in said] == ([(value, words)] if value else [])


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("没有尺码不合适，就是不喜欢", ["wrong_size"]),
        ("我没说太小啊", ["wrong_size"]),
        ("冇話太小", ["wrong_size"]),
        ("这次别再太小了", ["wrong_size"]),
        ("唔好太小", ["wrong_size"]),
        ("是不是太小了", []),
        ("特别太小", []),
        ("太小", []),
    ],
)
def test_what_is_denied_is_told_apart(extractor: LookupEntityExtractor, text: str, denied: list[str]) -> None:
    (message,) = extractor.process([Message({"text": text})])
    assert [one["value"] for one in message.get("entities") if one["entity"] == "reason_denied"] == denied


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("不想要了 屏幕有条线", ["quality", "changed_mind"]),
        ("颜色不喜欢，拉链也坏了", ["dislike", "quality"]),
        ("收到就是坏的", ["damaged"]),  # 是坏的 stands in it
        ("没坏，就是不喜欢", ["dislike"]),
        ("瓜子都哈喇了", ["quality"]),
        ("杯子上的名字刻错了", ["wrong_item"]),
        ("照片印反了", ["wrong_item"]),
        ("酸奶胀袋了", ["quality"]),
        ("粉底液油水分离", ["quality"]),
        ("裤子洗一水就缩水", ["quality"]),
        ("课放不出来", ["quality"]),
        ("这课骗人", ["not_as_described"]),
        ("一拆开就碎了一地", ["damaged"]),
        ("链接打不开", []),
        ("优惠券用到哪", []),
        ("收件人名字错了", []),
        ("电话漏了一位", []),
        ("这款有什么亮点", []),
        ("能不能刻字", []),
    ],
)
def test_reasons(text: str, reasons: list[str]) -> None:
    assert values_in(text, "reason") == reasons


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("那先不退了，给我换一袋新的", "exchange"),
        ("我说的是换一瓶，不是退款", "exchange"),
        ("怎么又是退货 我要换一盒", "exchange"),
        ("我不换货了，退钱给我", "refund"),
        ("还是退钱吧 不用寄的那个", "refund"),
        ("能不能退货", "return"),
        ("为什么不退款", "refund"),
        ("别给我换货", None),
        ("换个地址", None),
        ("怎么寄回去", None),
    ],
)
def test_kinds_of_requests(text: str, kind: str | None) -> None:
    assert next(iter(values_in(text, "ticket_kind")), None) == kind


def values_in(text: str, entity: str) -> list[str]:
    """Of the real lists."""
    folder = settings.ROOT / "bot/data/lookups"
    real = LookupEntityExtractor(read_lookups(folder), LocalModelStorage(folder), Resource("lookup"), folder)
    (message,) = real.process([Message({"text": text})])
    return [one["value"] for one in message.get("entities") if one["entity"] == entity]


@pytest.mark.parametrize(
    ("text", "known", "values"),
    [
        ("颜色不喜欢", (2, 5), ["dislike"]),  # a shorter name in the phrase is none: 手机 in 手机壳
        ("颜色不喜欢", (0, 5), ["known", "dislike"]),
        ("不喜欢 太大", (4, 6), ["known", "dislike"]),
    ],
)
def test_a_phrase_takes_the_place_of_a_name_in_it(
    extractor: LookupEntityExtractor, text: str, known: tuple[int, int], values: list[str]
) -> None:
    name = {"entity": "reason", "start": known[0], "end": known[1], "value": "known"}
    (message,) = extractor.process([Message({"text": text, "entities": [name]})])
    assert [entity["value"] for entity in message.get("entities")] == values


def test_a_phrase_under_two_values_is_refused(tmp_path: Path) -> None:
    (tmp_path / "reason.yml").write_text("a: [太小]\nb: [太大, 太小]\n", "utf-8")
    with pytest.raises(InvalidConfigException, match=r"reason\.yml.*太小"):
        read_lookups(tmp_path)
