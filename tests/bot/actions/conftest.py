"""The goods of the demo mall in a database of the tests' own and in a really started graph.

Stock is known: 9 of everything, and none of what ``SOLD_OUT`` names. Ann (customer A1, phone 154 0000 5678) has orders
and is bound to ``api:ann``; ``api:guest`` is nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

import settings
from bot.actions import graphs, malls
from demo.goods import Article, load_articles
from knowledge_graph import Answering, Graph, catalogue, content
from knowledge_graph import migrate as migrate_graph
from knowledge_graph.entries import read_files
from knowledge_graph.sources import house_facts, without_prices
from knowledge_graph.sync import files
from mall_adapter import Desk, SqlMall, models, read_catalogue
from mall_adapter.models import phone_index, phone_tail_index
from mall_adapter.values import OrderStatus, Reason, TicketKind, TicketRequest
from privacy import KeyRing
from storage import WRITES, create_engine, migrate
from tests.knowledge_graph.servers import Embedded, Server, start
from tests.mall_adapter.goods import add_sku, add_supplier, sent_by
from tests.mall_adapter.offices import bind

SOLD_OUT = "青岚序"
"""A brand of which nothing is left."""

STOCK = 9

PHONE = "15400005678"
ORDERS: dict[str, tuple[str, OrderStatus, int, int | None]] = {  # goods, status, days since it was placed and delivered
    "ORD10001": ("疾风 3", OrderStatus.DELIVERED, 5, 3),
    "ORD10002": ("鲜肉月饼", OrderStatus.DELIVERED, 3, 1),
    "ORD10003": ("毛圈连帽卫衣", OrderStatus.COMPLETED, 43, 40),
    "ORD10004": ("可视窗空气炸锅", OrderStatus.PAID, 1, None),
    "ORD10005": ("雾面口红", OrderStatus.DELIVERED, 5, 3),
    "ORD10006": ("疾风 3", OrderStatus.CANCELLED, 5, None),
    "ORD10007": ("疾风 3", OrderStatus.DELIVERED, 6, 4),
}


@pytest.fixture(scope="session")
def articles() -> list[Article]:
    return load_articles()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a key ring."""
    folder = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATA_DIR", str(folder))
        environment.delenv("KEYRING_FILE", raising=False)
        environment.delenv("DATABASE_URL", raising=False)
        KeyRing.load_or_create(settings.keyring_file())
        yield folder


def stock_of(article: Article) -> int:
    return 0 if article.brand == SOLD_OUT else STOCK


@pytest.fixture(scope="session")
def database(house: Path, articles: list[Article]) -> str:
    address = f"sqlite+aiosqlite:///{house}/goods.db"

    async def fill() -> None:
        await migrate(address)
        engine = create_engine(address)
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            for supplier in {article.supplier for article in articles}:
                add_supplier(session, supplier.id, supplier.name, trade=supplier.trade)
            for article in articles:
                session.add(
                    models.Product(
                        id=article.id,
                        supplier_id=article.supplier.id,
                        name=article.name,
                        brand=article.brand,
                        category=article.category,
                        trade=article.supplier.trade,
                        fresh=article.fresh,
                        custom_made=article.custom_made,
                        attributes=article.attributes,
                        image_path=None,
                    )
                )
                for sku in article.skus:
                    there, warehouse = stock_of(article), f"W-{article.supplier.id}"
                    add_sku(session, sku.id, article.id, sku.spec, sku.price_cents, there, warehouse=warehouse)
        await engine.dispose()

    asyncio.run(fill())
    return address


@pytest.fixture(scope="session")
def graph_server(tmp_path_factory: pytest.TempPathFactory, articles: list[Article], database: str) -> Iterator[Server]:
    server = start(Embedded, tmp_path_factory.mktemp("graph"))

    async def fill() -> None:
        engine = create_engine(database)
        goods = without_prices(await read_catalogue(engine))
        await engine.dispose()
        async with server.graph() as graph:
            await migrate_graph(graph)
            pair = [next(one.id for one in articles if word in one.name) for word in ("A5 除甲醛", "喵净")]
            known = [replace(one, image=f"/pictures/{one.id}.jpg") for one in goods.products]
            await catalogue.sync(graph, known, [(pair[0], pair[1])], goods.substitutes)

    asyncio.run(fill())
    yield server
    server.stop()


@pytest.fixture
async def shop(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqlMall]:
    """The mall alone: its graph is down."""
    engine = create_engine(database)
    mall = SqlMall(engine)
    async with Graph("bolt://127.0.0.1:9", "nobody", "nothing") as nowhere:
        monkeypatch.setattr(malls._mall, "room", mall)
        monkeypatch.setattr(malls._desk, "room", Desk(engine, (time.min, time.max)))
        monkeypatch.setattr(graphs, "_graph", nowhere)
        monkeypatch.setattr(graphs, "_rests_until", 0.0)
        monkeypatch.setattr(graphs, "_answering", Answering(nowhere))  # none are at hand, and nobody waits for them
        yield mall
    await engine.dispose()


@pytest.fixture
async def graph(shop: SqlMall, graph_server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Graph]:
    """The mall with its graph."""
    async with graph_server.graph() as graph:
        monkeypatch.setattr(graphs, "_graph", graph)
        yield graph


@pytest.fixture(scope="session")
def bought(database: str, articles: Sequence[Article]) -> None:
    """Ann's orders, in the database of the goods."""
    now = datetime.now(UTC)

    def order(key: str, words: str, status: OrderStatus, placed: int, delivered: int | None) -> models.Order:
        article = next(one for one in articles if words in one.name)
        sku = article.skus[0]
        line = models.OrderLine(
            id=f"{key}-1",
            sku_id=sku.id,
            product_name=article.name,
            spec=sku.spec,
            quantity=1,
            unit_price_cents=sku.price_cents,
        )
        bought = models.Order(
            id=key,
            customer_id="A1",
            status=status,
            placed_at=now - timedelta(days=placed),
            ships_by=now + timedelta(days=1),
            delivered_at=None if delivered is None else now - timedelta(days=delivered),
            total_cents=sku.price_cents,
            region="330000",
            recipient_name="安",
            recipient_phone=PHONE,
            recipient_address="湖滨路 18 号",
            phone_tail_index=phone_tail_index(key, PHONE),
            lines=[line],
        )
        return sent_by(bought, article.supplier.id)

    async def add() -> None:
        engine = create_engine(database)
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            ann = models.Customer(
                id="A1",
                name="安",
                phone=PHONE,
                phone_index=phone_index(PHONE),
                address="湖滨路 18 号",
                region="330000",
                registered_at=now - timedelta(days=100),
            )
            session.add(ann)
            session.add_all(order(key, *made) for key, made in ORDERS.items())
        mall = SqlMall(engine)
        await bind(mall, "api:ann", "A1")
        request = TicketRequest("ORD10007", TicketKind.RETURN, Reason.CHANGED_MIND)
        await mall.create_ticket("api:ann", request, "ann's return")
        await engine.dispose()

    asyncio.run(add())


@pytest.fixture(scope="session")
def learned(graph_server: Server) -> Answering:
    """The shop's real answers, from the graph."""

    async def learn() -> Answering:
        async with graph_server.graph() as graph:
            loaded = await content.load(graph, read_files(files(), house_facts()))
            assert loaded.written + loaded.unchanged > 200
            answering = Answering(graph)
            await answering.look()
            return answering

    return asyncio.run(learn())


@pytest.fixture
async def answers(
    graph: Graph, learned: Answering, bought: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Graph]:
    """The mall and its graph, with the answers at hand."""
    monkeypatch.setattr(graphs, "_answering", learned)
    yield graph


@pytest.fixture
async def ticket(shop: SqlMall, bought: None) -> str:
    """Ann's return, which is under way."""
    return next(one.id for one in await shop.tickets_of("api:ann", limit=50) if one.order_id == "ORD10007")
