"""The mall's names in what people write, one slip forgiven, and a list that changes while the bot runs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from rasa.shared.nlu.training_data.message import Message

from bot.components import catalogue
from bot.components.catalogue import CatalogueEntityExtractor, Names

CONTENT: dict[str, list[dict[str, Any]]] = {
    "product": [
        {"value": "云步 云步跑鞋", "names": ["云步跑鞋", "云步云步跑鞋"], "short": []},
        {"value": "林间步 疾风 3 缓震跑鞋", "names": ["林间步疾风3缓震跑鞋", "疾风3缓震跑鞋"], "short": ["疾风3"]},
        {"value": "桂下斋 流心奶黄月饼", "names": ["流心奶黄月饼"], "short": ["奶黄月饼"]},
        {"value": "云缕 免烫长袖衬衫", "names": ["免烫长袖衬衫"], "short": ["长袖衬衫"]},
        {"value": "澄野 C9 Pro 手机", "names": ["澄野c9pro手机", "c9pro手机"], "short": ["c9pro"]},
        {"value": "码上桥 Python 入门课", "names": ["python入门课"], "short": []},
    ],
    "brand": [{"value": "林间步", "names": ["林间步"], "short": []}, {"value": "澄野", "names": ["澄野"], "short": []}],
    "category": [
        {"value": name, "names": [name], "short": []} for name in ("跑鞋", "手机", "蓝牙耳机", "定制饰品", "月饼")
    ],
}

FOUND = [
    ("云步跑鞋有货吗", [("product", "云步 云步跑鞋", "云步跑鞋")]),
    ("雲步跑鞋", [("product", "云步 云步跑鞋", "雲步跑鞋")]),
    ("云 步 跑 鞋", [("product", "云步 云步跑鞋", "云 步 跑 鞋")]),
    ("你们的云布跑鞋多少钱", [("product", "云步 云步跑鞋", "云布跑鞋")]),
    ("云步步跑鞋", [("product", "云步 云步跑鞋", "云步步跑鞋")]),
    ("流心奶黄饼", [("product", "桂下斋 流心奶黄月饼", "流心奶黄饼")]),
    ("流心黄奶月饼", [("product", "桂下斋 流心奶黄月饼", "流心黄奶月饼")]),
    ("流心奶黄月井", [("product", "桂下斋 流心奶黄月饼", "流心奶黄月井")]),
    ("奶黄月饼", [("product", "桂下斋 流心奶黄月饼", "奶黄月饼")]),
    ("疾风3", [("product", "林间步 疾风 3 缓震跑鞋", "疾风3")]),
    ("疾风 3 缓镇跑鞋", [("product", "林间步 疾风 3 缓震跑鞋", "疾风 3 缓镇跑鞋")]),
    ("Ｃ９ Pro还有吗", [("product", "澄野 C9 Pro 手机", "Ｃ９ Pro")]),
    ("pyhton入门课", [("product", "码上桥 Python 入门课", "pyhton入门课")]),
    ("林间步的跑鞋", [("brand", "林间步", "林间步"), ("category", "跑鞋", "跑鞋")]),
    ("蓝芽耳机", [("category", "蓝牙耳机", "蓝芽耳机")]),
    ("月饼，手机", [("category", "月饼", "月饼"), ("category", "手机", "手机")]),
]

NOT_FOUND = [
    "",
    "云",
    "手机号5678",
    "手机尾号",
    "免烫短袖衬衫",  # another shirt
    "疾风30",
    "c9promax",
    "c8pro",
    "定制商品能退吗",
    "月 。饼",
    "😂",
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_a_name(text: str, expected: list[tuple[str, str, str]]) -> None:
    found = Names(CONTENT).find(text)
    assert [(find.entity, find.value, text[find.start : find.end]) for find in found] == expected


@pytest.mark.parametrize("text", NOT_FOUND)
def test_no_name(text: str) -> None:
    assert Names(CONTENT).find(text) == []


@pytest.mark.parametrize("piece", ["云步跑", "流心", "1 ", "c9 ", "退退货", "鞋跑"])
def test_ten_thousand_characters_are_read_in_one_go(piece: str) -> None:
    started = time.process_time()  # of this process: others may be at work
    Names(CONTENT).find((piece * 10_000)[:10_000])
    assert time.process_time() - started < 2


def write(path: Path, content: object) -> None:
    path.with_suffix(".new").write_text(json.dumps(content), "utf-8")
    os.replace(path.with_suffix(".new"), path)  # noqa: PTH105


def values(extractor: CatalogueEntityExtractor, text: str) -> list[str]:
    (message,) = extractor.process([Message({"text": text})])
    return [entity["value"] for entity in message.get("entities")]


def until(extractor: CatalogueEntityExtractor, text: str, expected: list[str]) -> None:
    deadline = time.monotonic() + 60
    while (found := values(extractor, text)) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def test_a_changed_list_is_used_while_the_bot_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "LOOK_SECONDS", 0.0)
    path = tmp_path / "catalogue.json"
    extractor = CatalogueEntityExtractor(path)
    assert values(extractor, "云步跑鞋") == []
    write(path, CONTENT)
    until(extractor, "云步跑鞋", ["云步 云步跑鞋"])
    write(path, {"brand": [{"value": "云步", "names": ["云步"], "short": []}]})
    until(extractor, "云步跑鞋", ["云步"])
    write(path, {"brand": [{"value": "云步"}]})  # not a list of ours
    write(path, CONTENT)
    until(extractor, "云步跑鞋", ["云步 云步跑鞋"])
    path.unlink()
    until(extractor, "云步跑鞋", [])


def test_a_broken_list_leaves_the_names_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalogue.json"
    write(path, CONTENT)
    extractor = CatalogueEntityExtractor(path)
    path.write_text("{")
    extractor._read()
    assert values(extractor, "云步跑鞋") == ["云步 云步跑鞋"]
