"""The encoder means what customers mean, and the house goes on without it; in both environments."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from encoder import Encoder, held_back, load
from encoder.model import CARD, FOLDER, LONGEST, MODEL, PIECES, numbered
from encoder.text import plain

MEGABYTES = 35


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    found = load()
    assert found, "the repository has no encoder that fits its card"
    return found


@pytest.mark.parametrize(
    ("asked", "same", "other"),
    [
        ("我想退货", "这个不要了给你们寄回去", "能开专票吗"),
        ("快递到哪了", "包裹现在在什么位置", "会员积分怎么用"),
        ("发票抬头写错了", "開錯發票抬頭咗", "什么时候发货"),
        ("where is my parcel", "我的包裹到哪里了", "优惠券过期了"),
    ],
)
def test_what_means_the_same_is_nearer(encoder: Encoder, asked: str, same: str, other: str) -> None:
    vectors = encoder.encode([asked, same, other])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


@pytest.mark.parametrize(
    ("line", "intent"),
    [
        ("衣服小了一号想换个大的", "request_exchange"),
        ("你们这是什么垃圾店 我要去投诉你们", "complain"),
        ("给我爸买个按摩仪有推荐的没", "recommend_product"),
        ("我账号不想要了帮我删掉", "delete_my_data"),
    ],
)
def test_it_tells_what_is_wanted(encoder: Encoder, line: str, intent: str) -> None:
    (chances,) = encoder.intents([line])
    assert chances.sum() == pytest.approx(1, abs=1e-4)
    assert encoder.labels[int(chances.argmax())] == intent


def test_one_text_and_many_texts_are_read_alike(encoder: Encoder) -> None:
    """Filler counts for nothing; whole numbers are rounded for a batch together, so a little differs."""
    texts = ["在吗", "", "😀", "退" * 500, "我昨天买的那个电饭煲今天到了打开一看盖子是裂的", "ORD1234567 到哪了"]
    together, alone = encoder.encode(texts), np.concatenate([encoder.encode([text]) for text in texts])
    assert (together * alone).sum(axis=1) == pytest.approx(1, abs=0.1)
    assert encoder.encode([]).shape == (0, together.shape[1])


def test_a_long_text_is_cut_and_still_ends(encoder: Encoder) -> None:
    (line,) = numbered(encoder._pieces, ["这个东西坏了" * 60])
    assert len(line) == LONGEST
    assert line[-1] == encoder._pieces.eos_id()


def test_what_is_kept_is_not_computed_again(encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, texts = tmp_path / "made" / "kept.npz", ["退货", "换货", "退货"]
    first = encoder.encode(texts, kept)
    asked: list[str] = []
    ask = encoder._ask

    def noted(some: list[str]) -> object:
        asked.extend(some)
        return ask(some)

    monkeypatch.setattr(encoder, "_ask", noted)
    assert np.array_equal(encoder.encode(texts, kept), first)
    assert asked == []
    encoder.encode(["换货", "退钱"], kept)
    assert asked == ["退钱"], "only what is new"
    encoder.encode(["退货"], kept)
    assert asked == ["退钱", "退货"], "and nothing is kept that was not asked for the last time"
    kept.write_bytes(b"half a file")
    assert encoder.encode(["退货"], kept)[0] @ first[0] == pytest.approx(1, abs=0.1)


def a_byte_less(folder: Path) -> None:
    (folder / MODEL).write_bytes((folder / MODEL).read_bytes()[:-1])


def another_vocabulary(folder: Path) -> None:
    (folder / PIECES).write_bytes(b"pieces")


def no_hash(folder: Path) -> None:
    (folder / CARD).write_text(json.dumps({"intents": []}))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no model": lambda folder: (folder / MODEL).unlink(),
    "no card": lambda folder: (folder / CARD).unlink(),
    "no folder": shutil.rmtree,
    "a byte less": a_byte_less,
    "another vocabulary": another_vocabulary,
    "a card without hashes": no_hash,
    "a card that is no card": lambda folder: (folder / CARD).write_text("{"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_without_its_files_the_house_goes_on_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object]
) -> None:
    folder = tmp_path / "files"
    shutil.copytree(FOLDER, folder)
    damage(folder)
    with caplog.at_level(logging.WARNING, "encoder.model"):
        assert load(folder) is None
    assert [record.message for record in caplog.records if "Going on without the encoder" in record.message]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("我要退貨！！！！", "我要退货!!"),
        ("ＯＲＤ１２３４５６７ 到哪", "ord00000 到哪"),
        ("哈哈哈哈哈", "哈哈"),
        ("  1000块\n的\u200b 耳机 ", "1000块 的 耳机"),
        ("尾号0005", "尾号0005"),
    ],
)
def test_one_spelling(text: str, read: str) -> None:
    assert plain(text) == read


def test_one_line_in_twenty_is_held_back_however_it_is_spelled() -> None:
    lines = [f"第{number}句话" for number in range(2000)]
    assert 0.035 < np.mean([held_back(line) for line in lines]) < 0.065
    assert all(held_back(line) == held_back(f" {line.replace('话', '話')} ") for line in lines)


def test_the_repository_can_bear_it() -> None:
    assert (FOLDER / MODEL).stat().st_size <= MEGABYTES * 1e6
    card = json.loads((FOLDER / CARD).read_text("utf-8"))
    assert {"from", "how", "licence", "made", "learned from", "on lines held back", "sha256"} <= set(card)
