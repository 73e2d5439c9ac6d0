"""The mall and the files of answers on one side, a real graph on the other, and what keeps it in step."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from demo import prices, rows, unseed
from demo.goods import load_articles
from demo.history import DAYS
from knowledge_graph import Graph, content, migrate, products, reports
from knowledge_graph import sync as syncing
from knowledge_graph.sources import HouseShop, house_facts, open_shop
from knowledge_graph.sync import Keeper, sync
from mall_adapter import models
from storage import WRITES, create_engine
from storage import migrate as migrate_mall
from tests.knowledge_graph.servers import PASSWORD, Embedded, start

ARTICLES = load_articles()
ALL = len(ARTICLES)
CAMERA = next(article for article in ARTICLES if article.name.startswith("拓光年 T7"))
CAMERAS = [sku.id for sku in CAMERA.skus]
OF_SKUS = (models.Price, models.StockMovement, models.Stock)

ANSWERS = """\
topic: delivery
entries:
  - id: night_delivery
    kind: faq
    title: 夜里送不送
    answer: {}
    ask: [夜里送货吗]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    server = start(Embedded, tmp_path_factory.mktemp("graph"))
    assert isinstance(server, Embedded)
    yield server
    server.stop()


@pytest.fixture
def house(server: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own, whose settings lead to the graph; the shop's answers are few."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GRAPH_PORT", str(server.port))
    monkeypatch.setenv("GRAPH_PASSWORD", PASSWORD)
    for name in ("DATABASE_URL", "GRAPH_URI", "GRAPH_USER", "DESK_HOURS"):
        monkeypatch.delenv(name, raising=False)
    settings.knowledge_dir().mkdir()
    (settings.knowledge_dir() / "delivery.yml").write_text(ANSWERS.format("夜里不送。"))
    return tmp_path


@pytest.fixture
async def mall(house: Path) -> AsyncIterator[AsyncEngine]:
    """The goods of the demo mall."""
    await migrate_mall(settings.database_url())
    engine = create_engine(settings.database_url())
    rng, now = Random(1), datetime.now(UTC)  # noqa: S311 (what is in stock)
    async with engine.execution_options(**WRITES).begin() as connection:
        for model, values in rows.of_articles(rng, ARTICLES, [], frozenset(), now).items():
            await connection.execute(insert(model), values)
        listed = prices.rows(ARTICLES, now.astimezone(settings.SHANGHAI).date(), DAYS)
        await connection.execute(insert(models.Price), list(listed))
    yield engine
    await engine.dispose()


@pytest.fixture
async def shop(mall: AsyncEngine) -> AsyncIterator[HouseShop]:
    """Asked for its goods and its terms through the port."""
    async with open_shop() as shop:
        yield shop


@pytest.fixture
async def graph(server: Embedded) -> AsyncIterator[Graph]:
    async with server.graph() as graph:
        await migrate(graph)
        await graph.write("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
        yield graph


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was told since it was last asked."""
    caplog.set_level("INFO", "knowledge_graph.sync")

    def told() -> list[str]:
        messages = caplog.messages[:]
        caplog.clear()
        return messages

    return told


Said = Callable[[], list[str]]


async def write(mall: AsyncEngine, *statements: object) -> None:
    async with mall.execution_options(**WRITES).begin() as connection:
        for statement in statements:
            await connection.execute(statement)  # type: ignore[call-overload]


async def until(true: Callable[[], Awaitable[object]], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not await true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.02)


async def told_by(graph: Graph, entry_id: str) -> str | None:
    found = await content.answer(graph, entry_id)
    return found.text if found else None


@contextlib.asynccontextmanager
async def kept(graph: Graph, shop: HouseShop) -> AsyncIterator[None]:
    keeping = asyncio.create_task(Keeper(graph, shop).keep(0.05))
    try:
        yield
        assert not keeping.done(), keeping.exception()
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def test_everything_comes_in_once(graph: Graph, shop: HouseShop, said: Said) -> None:
    assert await sync(graph, shop)
    first = said()
    assert f"products / 商品: {ALL} written, 0 unchanged, 0 deleted, {ALL} linked" in first
    assert not [line for line in first if "left out" in line or "no such goods" in line]
    assert await sync(graph, shop)
    again = said()
    assert f"products / 商品: 0 written, {ALL} unchanged, 0 deleted, 0 linked" in again
    assert any(line.startswith("answers / 答案: 0 written") and "0 deleted" in line for line in again)


async def test_goods_and_answers_are_told_as_the_mall_has_them(graph: Graph, shop: HouseShop) -> None:
    await sync(graph, shop)
    camera = await products.product(graph, CAMERA.id)
    assert camera
    assert (camera.name, camera.supplier, dict(camera.attributes)) == (
        *(CAMERA.name, CAMERA.supplier.name),
        CAMERA.attributes,
    )
    fitting = {one.name for one in await products.compatible(graph, CAMERA.id)}
    assert fitting == {"拓光年 TB-70 原装锂电池", "岩羚 相机双充座充 附两块兼容电池"}
    assert await told_by(graph, "night_delivery") == "夜里不送。"


async def test_of_a_changed_product_only_that_is_written(
    graph: Graph, mall: AsyncEngine, shop: HouseShop, said: Said
) -> None:
    await sync(graph, shop)
    said()
    await write(mall, update(models.Product).where(models.Product.id == CAMERA.id).values(name="拓光年 T7 二代"))
    await sync(graph, shop)
    assert any(line.startswith(f"products / 商品: 1 written, {ALL - 1} unchanged, 0 deleted") for line in said())
    camera = await products.product(graph, CAMERA.id)
    assert camera and camera.name == "拓光年 T7 二代"


async def test_no_node_knows_what_anything_costs_or_whether_it_is_there(
    graph: Graph, mall: AsyncEngine, shop: HouseShop, said: Said
) -> None:
    await sync(graph, shop)
    kept = await graph.read("MATCH (p:Product) UNWIND keys(p) AS name RETURN DISTINCT name ORDER BY name")
    assert {row["name"] for row in kept} <= {"id", "image", "links", "name", "version", "words"}
    kept = await graph.read("MATCH (n) UNWIND keys(n) AS name RETURN DISTINCT name")
    kept += await graph.read("MATCH ()-[r]->() UNWIND keys(r) AS name RETURN DISTINCT name")
    assert not [row for row in kept if any(word in row["name"] for word in ("price", "cents", "stock"))]
    said()
    (replaced,) = await graph.read("MATCH (p)<-[:SUBSTITUTE_FOR]-() RETURN p.id AS id ORDER BY id LIMIT 1")
    skus = select(models.Sku.id).where(models.Sku.product_id == replaced["id"])
    await write(
        mall,
        update(models.Price).where(models.Price.sku_id.in_(skus)).values(cents=100),
        update(models.Stock).where(models.Stock.sku_id.in_(skus)).values(on_hand=0, allocated=0, held=0),
    )
    await sync(graph, shop)
    (line,) = [line for line in said() if line.startswith(f"products / 商品: 0 written, {ALL} unchanged, 0 deleted")]
    assert not line.endswith(" 0 linked")
    assert await products.substitutes(graph, replaced["id"]) == []  # none of its shelf costs as little


async def test_a_deleted_product_is_gone(graph: Graph, mall: AsyncEngine, shop: HouseShop, said: Said) -> None:
    await sync(graph, shop)
    said()
    await write(
        mall,
        *(delete(table).where(table.sku_id.in_(CAMERAS)) for table in OF_SKUS),
        delete(models.Sku).where(models.Sku.product_id == CAMERA.id),
        delete(models.Product).where(models.Product.id == CAMERA.id),
    )
    await sync(graph, shop)
    assert any(line.startswith(f"products / 商品: 0 written, {ALL - 1} unchanged, 1 deleted") for line in said())
    assert await products.product(graph, CAMERA.id) is None


async def test_an_empty_mall_empties_no_graph(graph: Graph, mall: AsyncEngine, shop: HouseShop, said: Said) -> None:
    await sync(graph, shop)
    await write(mall, *map(delete, (*OF_SKUS, models.Sku, models.Product)))
    await sync(graph, shop)
    assert any("the mall has no products" in line for line in said())
    assert await products.product(graph, CAMERA.id)


async def test_a_demo_that_was_removed_leaves_the_graph(graph: Graph, mall: AsyncEngine, shop: HouseShop) -> None:
    await write(mall, insert(models.Demo).values(id=1, seeded_at=datetime.now(UTC)))
    await sync(graph, shop)
    await unseed(mall)
    await sync(graph, shop)
    assert await products.product(graph, CAMERA.id) is None


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        pytest.param("topic: delivery\nentries: [\n", "knowledge/delivery.yml 第 2 行 (row 2)：", id="no YAML"),
        pytest.param(ANSWERS.format("“{nobody_knows}”"), "knowledge/delivery.yml 第 6 行 answer", id="an unknown fact"),
    ],
)
async def test_a_broken_file_is_told_and_deletes_nothing(
    graph: Graph, shop: HouseShop, said: Said, text: str, reported: str
) -> None:
    await sync(graph, shop)
    (settings.knowledge_dir() / "delivery.yml").write_text(text)
    assert not await sync(graph, shop)
    assert any(line.startswith(f"left out / 未导入: {reported}") for line in said())
    assert await told_by(graph, "night_delivery") == "夜里不送。"


async def test_the_operators_numbers_go_before_the_shops(graph: Graph, shop: HouseShop) -> None:
    (settings.knowledge_dir() / "delivery.yml").write_text(ANSWERS.format("满 {free_shipping_yuan} 元送。"))
    await sync(graph, shop)
    assert await told_by(graph, "night_delivery") == "满 59 元送。"
    (settings.knowledge_dir() / "shop.yml").write_text("free_shipping_yuan: 79\n")
    await sync(graph, shop)
    assert await told_by(graph, "night_delivery") == "满 79 元送。"


@pytest.mark.parametrize(
    ("hours", "told"), [(None, "9:00–21:00"), ("08:30-18:05", "8:30–18:05"), ("00:00-24:00", "0:00–24:00")]
)
def test_facts(house: Path, monkeypatch: pytest.MonkeyPatch, hours: str | None, told: str) -> None:
    if hours:
        monkeypatch.setenv("DESK_HOURS", hours)
    known = house_facts()
    assert (known["desk_hours"], known["auto_approve_yuan"], known["no_reason_days"]) == (told, 2000, 7)


async def test_what_changes_while_the_house_runs_is_in_the_graph(
    graph: Graph, mall: AsyncEngine, shop: HouseShop
) -> None:
    file = settings.knowledge_dir() / "delivery.yml"

    async def answer_is(text: str | None) -> None:
        async def told() -> bool:
            return await told_by(graph, "night_delivery") == text

        await until(told, f"{text!r} in the graph")

    async def is_called(name: str) -> bool:
        camera = await products.product(graph, CAMERA.id)
        return camera is not None and camera.name == name

    async with kept(graph, shop):
        await answer_is("夜里不送。")
        file.write_text(ANSWERS.format("夜里也送。"))
        await answer_is("夜里也送。")
        await write(mall, update(models.Product).where(models.Product.id == CAMERA.id).values(name="拓光年 T7 二代"))
        await until(lambda: is_called("拓光年 T7 二代"), "the new name")
        file.unlink()
        await answer_is(None)


async def test_a_limit_of_the_rules_is_told_as_it_is_now(
    graph: Graph, shop: HouseShop, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, rules = settings.rules_file().read_text(encoding="utf-8"), house / "rules.json"
    rules.write_text(good, encoding="utf-8")
    monkeypatch.setenv("RULES_FILE", str(rules))
    (settings.knowledge_dir() / "delivery.yml").write_text(ANSWERS.format("收到后 {no_reason_days} 天。"))

    async def told(text: str) -> None:
        async def is_told() -> bool:
            return await told_by(graph, "night_delivery") == text

        await until(is_told, f"{text!r} in the graph")

    async with kept(graph, shop):
        await told("收到后 7 天。")
        rules.write_text(good.replace('"value": "7"', '"value": "30"', 1), encoding="utf-8")
        await told("收到后 30 天。")


async def test_one_bad_file_holds_up_nothing_while_the_house_runs(graph: Graph, shop: HouseShop) -> None:
    """It keeps its last good answers and is named until it is mended; the others go on."""
    folder = settings.knowledge_dir()
    table, other = folder / "own.csv", folder / "delivery.yml"
    row = "{},faq,payment,{},{},能付吗\n"
    good = "id,kind,topic,title,answer,ask\n" + row.format("cod", "货到付款", "不支持。")

    async def answers_are(**answers: str | None) -> None:
        async def told() -> bool:
            return {key: await told_by(graph, key) for key in answers} == answers

        await until(told, f"{answers} in the graph")

    async def warned(*words: str) -> None:
        async def told() -> bool:
            warnings = reports.read().warnings()
            return len(warnings) == len(words) and all(map(str.__contains__, warnings, words))

        await until(told, f"{words} in the report")

    table.write_text(good)
    async with kept(graph, shop):
        await answers_are(cod="不支持。", night_delivery="夜里不送。")
        await warned()
        table.write_text(good + row.format("card", '"刷卡', "行。"))  # a quote that is not closed
        (folder / "chart.xlsx").write_bytes(b"PK")
        (folder / "nowhere.csv").symlink_to("nothing")
        other.write_text(ANSWERS.format("夜里也送。"))
        await warned("chart.xlsx", "nowhere.csv", "own.csv 第 3 行")
        await answers_are(cod="不支持。", card=None, night_delivery="夜里也送。")
        table.write_text(good.replace("不支持", "支持") + row.format("card", "刷卡", "行。"))
        (folder / "nowhere.csv").unlink()
        other.unlink()
        await warned("chart.xlsx")
        await answers_are(cod="支持。", card="行。", night_delivery=None)
        table.unlink()
        (folder / "chart.xlsx").unlink()
        await warned()
        await answers_are(cod=None)


async def test_what_nobody_thought_of_is_told_and_tried_again(
    graph: Graph, shop: HouseShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, faults = shop.goods, iter([AttributeError("'list' object has no attribute 'find'"), MemoryError()])

    async def goods() -> syncing.Goods | None:
        for fault in faults:
            assert reports.read().trouble == "" or isinstance(fault, MemoryError)
            raise fault
        return await real()

    monkeypatch.setattr(shop, "goods", goods)
    troubles = []
    real_report = syncing.report

    def report(what: reports.Report) -> None:
        troubles.append(what.trouble[-14:])
        real_report(what)

    monkeypatch.setattr(syncing, "report", report)
    async with kept(graph, shop):

        async def well() -> bool:
            return bool(troubles) and troubles[-1] == ""

        await until(well, "in step again")
    assert troubles == ["AttributeError", "n: MemoryError"[-14:], ""]


async def test_a_graph_that_is_away_is_told_once_and_caught_up_with(
    mall: AsyncEngine,
    shop: HouseShop,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From before its start, and after a crash."""
    monkeypatch.setattr(syncing, "AWAY_SECONDS", 0.05)
    caplog.set_level("INFO", "knowledge_graph.sync")
    server = Embedded(tmp_path / "graph")

    def times(words: str) -> int:
        return sum(words in message for message in caplog.messages)

    async def away_for_some_looks(before: int) -> None:
        looks = 0
        real = Keeper.look

        async def counted(keeper: Keeper) -> None:
            nonlocal looks
            looks += 1
            await real(keeper)

        async def enough() -> bool:
            return looks > 3

        with monkeypatch.context() as patch:
            patch.setattr(Keeper, "look", counted)
            await until(enough, "some looks")
        assert times("the graph is away") == before

    async def well(before: int) -> None:
        async def again() -> bool:
            return times("in step again") == before

        await until(again, "in step again")

    try:
        async with server.graph() as graph, kept(graph, shop):
            await away_for_some_looks(1)
            await asyncio.to_thread(server.start)
            await well(1)
            assert await told_by(graph, "night_delivery") == "夜里不送。"
            server.kill()
            (settings.knowledge_dir() / "delivery.yml").write_text(ANSWERS.format("夜里也送。"))
            await write(mall, delete(models.Price).where(models.Price.sku_id.in_(CAMERAS)))
            await away_for_some_looks(2)
            await asyncio.to_thread(server.start)
            await well(2)
            assert await told_by(graph, "night_delivery") == "夜里也送。"
            assert await products.product(graph, CAMERA.id) is None
    finally:
        if server.process and server.process.poll() is None:
            server.kill()


@pytest.mark.parametrize(
    ("name", "text", "status", "words"),
    [
        (
            "more.csv",
            "id,kind,topic,title,answer,ask\ncod,faq,payment,货到付款,不支持。,能货到付款吗\n",
            0,
            "1 written",
        ),
        (
            "more.csv",
            "id,kind,topic,title,answer,ask\ncod,faq,money,货到付款,不支持。,能货到付款吗\n",
            1,
            "没有 money 这个主题",
        ),
        ("more.doc", "", 2, "not a file of .yml, .yaml, .csv, .xlsx"),
    ],
)
async def test_a_file_of_the_command_line(
    graph: Graph, shop: HouseShop, tmp_path: Path, name: str, text: str, status: int, words: str
) -> None:
    await sync(graph, shop)
    (tmp_path / name).write_text(text)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "knowledge_graph", "sync", str(tmp_path / name)],
        cwd=settings.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, words in done.stdout + done.stderr) == (status, True), done.stdout + done.stderr
    assert await told_by(graph, "cod") == ("不支持。" if status == 0 else None)
