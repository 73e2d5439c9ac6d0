"""The embedded graph as a process of the house."""

from __future__ import annotations

import asyncio
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from neo4j import AsyncGraphDatabase
from neo4j.exceptions import Neo4jError

import settings
from connectors.health import bolt_answers
from knowledge_graph.client import QueryTimeout
from knowledge_graph.server import LONGEST_MS
from tests.knowledge_graph.servers import PASSWORD, Embedded
from tests.knowledge_graph.test_client import ENDLESS


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    server = Embedded(tmp_path / "house")
    yield server
    if server.process and server.process.poll() is None:
        server.kill()


def run(server: Embedded, command: str = "serve", **environment: str) -> tuple[int, str]:
    """Of a command that ends by itself: exit status and the last line that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "knowledge_graph", command],
        cwd=settings.ROOT,
        env=server.environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, (done.stderr or done.stdout).strip().splitlines()[-1]


async def test_it_listens_on_loopback_only_and_is_healthy(server: Embedded) -> None:
    assert not await bolt_answers(server.uri)
    await asyncio.to_thread(server.start)
    assert await bolt_answers(server.uri)
    assert server.process
    sockets = psutil.Process(server.process.pid).net_connections("tcp")
    listening = {one.laddr[0] for one in sockets if one.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


async def test_without_the_password_neither_of_its_doors_opens(server: Embedded) -> None:
    await asyncio.to_thread(server.start)
    for auth in (None, ("root", ""), ("root", "root"), ("", "")):
        async with AsyncGraphDatabase.driver(server.uri, auth=auth) as driver:
            with pytest.raises(Neo4jError):
                await driver.execute_query("RETURN 1")
    assert server.process
    sockets = psutil.Process(server.process.pid).net_connections("tcp")
    ports = {one.laddr[1] for one in sockets if one.status == psutil.CONN_LISTEN} - {server.port}
    page = {"Origin": "https://evil.example", "Content-Type": "text/plain"}  # as it can post without asking first
    call = '{"language": "cypher", "command": "CREATE (n:Hacked) RETURN n"}'
    assert ports
    for port in ports:  # of HTTP, on which ArcadeDB insists
        async with httpx.AsyncClient(base_url=f"http://{settings.HOST}:{port}/api/v1", trust_env=False) as http:
            for answer in (
                await http.post("/command/mall", content=call, headers=page),
                await http.get("/query/mall/cypher/RETURN%201", headers=page),
                await http.get("/databases", headers=page),
                await http.post("/server", content='{"command": "list databases"}', headers=page),
            ):
                assert answer.status_code in (401, 403), answer.text
                assert "access-control-allow-origin" not in answer.headers


def test_it_stops_when_told_to_and_starts_again(server: Embedded) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        server.start()
        assert server.end(signum) == 0
    assert "recovery" not in server.log.read_text().lower()  # it closed its files


def test_a_password_is_made_once_and_only_its_owner_may_read_it(
    server: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "new"))
    monkeypatch.delenv("GRAPH_PASSWORD", raising=False)
    monkeypatch.delenv("GRAPH_URI", raising=False)
    password = settings.graph_password()
    file = tmp_path / "new" / "graph_password"
    assert len(password) >= 32 and settings.graph_password() == password == file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_taken_port_is_named(server: Embedded) -> None:
    with socket.create_server((settings.HOST, server.port)):
        code, said = run(server)
    assert code == 1 and f"Port {server.port}" in said and "GRAPH_PORT" in said and "图数据库" in said


def test_another_password_than_the_datas_is_refused(server: Embedded) -> None:
    server.start()
    assert server.stop() == 0
    code, said = run(server, GRAPH_PASSWORD="another-password")
    assert code == 1 and "password" in said and "密码" in said
    assert PASSWORD not in said and "another-password" not in said


def test_one_folder_has_one_server(server: Embedded, tmp_path: Path) -> None:
    server.start()
    code, said = run(server, GRAPH_PORT=str(Embedded(tmp_path).port))
    assert code == 1 and "another process" in said


async def test_a_statement_that_everybody_gave_up_on_is_stopped(server: Embedded) -> None:
    await asyncio.to_thread(server.start)
    async with server.graph(seconds=LONGEST_MS / 1000 + 15) as graph:
        with pytest.raises(QueryTimeout, match="stopped"):
            await graph.read(ENDLESS)


def test_no_embedded_graph_where_another_is_named(server: Embedded) -> None:
    code, said = run(server, GRAPH_URI="bolt://elsewhere:7687")
    assert code == 1 and "GRAPH_URI" in said
    code, said = run(server, "migrate", GRAPH_URI="bolt://127.0.0.1:1", GRAPH_PASSWORD="")
    assert code == 1 and "GRAPH_PASSWORD" in said


def test_migrate_says_what_it_did(server: Embedded) -> None:
    code, said = run(server, "migrate")
    assert code == 1 and "does not answer" in said
    server.start()
    assert run(server, "migrate") == (0, "applied 1, 2, 3, 4, 5, 6")
    assert run(server, "migrate") == (0, "nothing to do")
