"""What customers call the goods, and the file in which the bot finds it, kept up to date while the mall runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from demo.goods import load_articles
from mall_adapter import SqlMall, models
from mall_adapter.names import calls, slipped, watch_names, write_names
from storage import WRITES

SHOES = ("林间步 疾风 3 轻量缓震跑鞋", "林间步", "跑鞋")
CAKES = ("桂下斋 流心奶黄月饼 中秋送礼", "桂下斋", "月饼")
PHONE = ("澄野 C9 Pro 影像旗舰 5G 手机", "澄野", "手机")
SMALL_PHONE = ("澄野 C9 小屏旗舰 5G 手机", "澄野", "手机")


def forms(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {form: entry["value"] for entry in entries for form in entry["names"] + entry["short"]}


@pytest.mark.parametrize(
    ("form", "goods"),
    [
        ("林间步疾风3轻量缓震跑鞋", SHOES),
        ("疾风3轻量缓震跑鞋", SHOES),
        ("轻量缓震跑鞋", SHOES),
        ("缓震跑鞋", SHOES),
        ("林间步疾风", SHOES),
        ("林间步疾风3", SHOES),
        ("疾风3", SHOES),
        ("疾风跑鞋", SHOES),
        ("流心奶黄月饼", CAKES),
        ("奶黄月饼", CAKES),
        ("桂下斋月饼", CAKES),
        ("c9pro", PHONE),
        ("澄野c9pro", PHONE),
        ("小屏旗舰5g手机", None),  # the part that says what it is, is 手机
        ("澄野手机", None),  # two of them
        ("澄野c9", None),
        ("黄月饼", None),
        ("跑鞋", None),  # a category
        ("林间步", None),  # a brand
        ("", None),
    ],
)
def test_what_a_product_is_called(form: str, goods: tuple[str, str, str] | None) -> None:
    found = calls([SHOES, CAKES, PHONE, SMALL_PHONE])
    assert forms(found["product"]).get(form) == (goods[0] if goods else None)


def test_brands_and_categories() -> None:
    found = calls([SHOES, PHONE])
    assert forms(found["brand"]) == {"林间步": "林间步", "澄野": "澄野"}
    assert forms(found["category"]) == {"跑鞋": "跑鞋", "手机": "手机"}


def test_the_demo_malls_goods_are_all_known_by_their_names() -> None:
    articles = load_articles()
    found = calls([(article.name, article.brand, article.category) for article in articles])
    assert all(entry["names"] for entry in found["product"])
    assert {article.name for article in articles} == {entry["value"] for entry in found["product"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("云布跑鞋", True),
        ("云跑鞋", True),
        ("云步的跑鞋", True),
        ("我要云步跑靴", True),
        ("云布跑靴", False),
        ("跑鞋", False),
    ],
)
def test_a_slip(text: str, expected: bool) -> None:
    assert slipped("云步跑鞋", text) is expected


async def test_the_file_is_written_when_something_changed(mall: SqlMall, tmp_path: Path) -> None:
    path = tmp_path / "lookups" / "catalogue.json"
    assert await write_names(mall.catalogue, path)
    assert not await write_names(mall.catalogue, path)
    assert "云跑缓震跑步鞋" in forms(json.loads(path.read_text("utf-8"))["product"])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_renamed_product_reaches_the_file(mall: SqlMall, engine: AsyncEngine, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    watching = asyncio.create_task(watch_names(mall.catalogue, path, seconds=0.01))
    try:
        await _until(path, "云跑缓震跑步鞋")
        async with engine.execution_options(**WRITES).begin() as connection:
            renamed = update(models.Product).where(models.Product.id == "P1").values(name="云跑缓振跑步鞋")
            await connection.execute(renamed)
        await _until(path, "云跑缓振跑步鞋")
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _until(path: Path, form: str) -> None:
    def told() -> bool:
        return path.exists() and form in path.read_text("utf-8")

    deadline = time.monotonic() + 60
    while not await asyncio.to_thread(told):
        assert time.monotonic() < deadline, form
