"""The goods of the demo mall in a database of the tests' own and in a really started graph.

Stock is known: 9 of everything, and none of what ``SOLD_OUT`` names.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

import settings
from bot.actions import graphs, malls
from knowledge_graph import Answering, Graph, Product, catalogue
from knowledge_graph import migrate as migrate_graph
from mall_adapter import SqlMall, create_engine, migrate, models
from mall_adapter.database import WRITES
from mall_adapter.demo.goods import Article, load_articles
from privacy.keyring import KeyRing
from tests.knowledge_graph.servers import Embedded, Server, start

SOLD_OUT = "青岚序"
"""A brand of which nothing is left."""

STOCK = 9


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
                session.add(
                    models.Supplier(id=supplier.id, name=supplier.name, trade=supplier.trade, region=supplier.region)
                )
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
                    session.add(
                        models.Sku(
                            id=sku.id,
                            product_id=article.id,
                            spec=sku.spec,
                            price_cents=sku.price_cents,
                            quantity=stock_of(article),
                            allocated=0,
                        )
                    )
        await engine.dispose()

    asyncio.run(fill())
    return address


def as_known(article: Article) -> Product:
    prices = [sku.price_cents for sku in article.skus]
    return Product(
        id=article.id,
        name=article.name,
        brand=article.brand,
        category=article.category,
        supplier_id=article.supplier.id,
        supplier=article.supplier.name,
        price_min_cents=min(prices),
        price_max_cents=max(prices),
        in_stock=True,  # also what has run out since: the graph may be behind
        image=f"/pictures/{article.id}.jpg",
        attributes=article.attributes,
    )


@pytest.fixture(scope="session")
def graph_server(tmp_path_factory: pytest.TempPathFactory, articles: list[Article]) -> Iterator[Server]:
    server = start(Embedded, tmp_path_factory.mktemp("graph"))

    async def fill() -> None:
        async with server.graph() as graph:
            await migrate_graph(graph)
            pair = [next(one.id for one in articles if word in one.name) for word in ("A5 除甲醛", "喵净")]
            await catalogue.sync(graph, map(as_known, articles), [(pair[0], pair[1])])

    asyncio.run(fill())
    yield server
    server.stop()


@pytest.fixture
async def shop(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqlMall]:
    """The mall alone: its graph is down."""
    engine = create_engine(database)
    mall = SqlMall(engine)
    async with Graph("bolt://127.0.0.1:9", "nobody", "nothing") as nowhere:
        monkeypatch.setattr(malls, "_mall", mall)
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
