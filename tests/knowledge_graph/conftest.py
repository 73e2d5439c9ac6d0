"""Every test here runs on both servers, the embedded graph and Neo4j, unless it asks for one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from knowledge_graph import Graph, client
from knowledge_graph.migrations import migrate
from tests.knowledge_graph.servers import PATIENCE, Embedded, Neo4j, NoNeo4j, Server, start


@pytest.fixture(autouse=True, scope="session")
def patience() -> Iterator[None]:
    """A server on a busy machine is not taken for one that is away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "CONNECT_SECONDS", PATIENCE)
        yield


@pytest.fixture(scope="session", params=[Embedded, Neo4j], ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests."""
    try:
        server = start(request.param, tmp_path_factory.mktemp(request.param.name))
    except NoNeo4j as error:
        pytest.skip(f"no Neo4j: {error}")
    yield server
    server.stop()


@pytest.fixture(params=[Embedded, Neo4j], ids=lambda kind: kind.name)
def mortal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of one's own, to be killed."""
    try:
        server = start(request.param, tmp_path)
    except NoNeo4j as error:
        pytest.skip(f"no Neo4j: {error}")
    yield server
    server.kill()


@pytest.fixture
async def graph(server: Server) -> AsyncIterator[Graph]:
    """Empty, with its constraints."""
    async with server.graph() as graph:
        await migrate(graph)
        await graph.write("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
        yield graph
