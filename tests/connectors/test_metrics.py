"""What Prometheus reads: who may, what it counts, and that the board draws nothing that is not told."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.ext.asyncio import AsyncSession

from settings import ROOT
from storage import WRITES, create_engine, inbox
from tests.connectors.conftest import Gateway, fake_graph, free_port
from tests.connectors.fake_rasa import FakeRasa

TOKEN = "of-prometheus"
BOARD = ROOT / "ops" / "grafana" / "zhanggui.json"


@pytest.fixture(scope="module")
def public(rasa_server: FakeRasa, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that customers reach under a name, with a second bot that is away."""
    away = f"http://127.0.0.1:{free_port()}"
    shop = {"PUBLIC_URL": "https://shop.example", "METRICS_TOKEN": TOKEN, "RASA_URL": f"{rasa_server.url},{away}"}
    gateway = Gateway(tmp_path_factory.mktemp("public"), rasa_server.url, **shop)
    with fake_graph(gateway.graph_port):
        gateway.start()
        yield gateway
        gateway.stop()


Metrics = dict[tuple[str, frozenset[tuple[str, str]]], float]


def told(url: str, token: str | None = None) -> Metrics:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.get(f"{url}/metrics", headers=headers, trust_env=False, timeout=10).raise_for_status()
    families = text_string_to_metric_families(answer.text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics[name, frozenset(labels.items())]


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer of-prometheu", f"Basic {TOKEN}", "Bearer \u00e4"])
def test_strangers_are_not_told_that_it_is_there(public: Gateway, header: str | None) -> None:
    headers = {b"Authorization": header.encode("latin-1")} if header else {}
    assert httpx.get(f"{public.url}/metrics", headers=headers, trust_env=False).status_code == 404


def test_turns_are_counted_by_how_they_end(public: Gateway, rasa: FakeRasa) -> None:
    before = told(public.url, TOKEN)
    key = {"Authorization": f"Bearer {(public.folder / 'api_key').read_text()}"}
    for number in range(4):  # whichever bot is theirs
        said = {"sender": f"customer {number}", "text": "在吗"}
        assert httpx.post(f"{public.url}/api/chat", json=said, headers=key, trust_env=False).status_code == 200
    after = told(public.url, TOKEN)

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert more("zhanggui_turns_total", outcome="answered") == 4
    assert more("zhanggui_turns_total", outcome="unavailable") == 0
    assert more("zhanggui_turn_seconds_count") == 4
    assert 0 < more("zhanggui_turn_seconds_sum") < 4 * 2
    assert [value(after, "zhanggui_up", part=part) for part in ("bot", "database", "graph")] == [1, 1, 1]
    assert value(after, "zhanggui_warnings") >= 1  # of the bot that is away
    assert "customer" not in str(after)


def test_this_machine_alone_needs_no_token(shared_gateway: Gateway) -> None:
    assert value(told(shared_gateway.url), "zhanggui_up", part="database") == 1


async def test_what_waits_is_told_and_every_name_on_the_board(public: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that nobody takes, as of a channel that is off."""
    monkeypatch.setenv("KEYRING_FILE", str(public.folder / "keyring.json"))
    engine = create_engine(f"sqlite+aiosqlite:///{public.database}")
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        at = datetime.now(UTC) - timedelta(seconds=90)
        await inbox.accept(session, inbox.Message("paper", "paper:ann", {}, "1"), at, None)
    await engine.dispose()
    metrics = await asyncio.to_thread(told, public.url, TOKEN)
    labels = {"queue": "inbox", "channel": "paper", "state": "pending"}
    assert value(metrics, "zhanggui_queue_messages", **labels) == 1
    assert 90 <= value(metrics, "zhanggui_queue_oldest_seconds", **labels) < 120
    assert not names_on_the_board() - {name for name, _ in metrics}


def names_on_the_board() -> set[str]:
    expressions = [target["expr"] for panel in json.loads(BOARD.read_text())["panels"] for target in panel["targets"]]
    return {name for each in expressions for name in re.findall(r"\b(?:zhanggui|process)_\w+", each)}


def test_a_worker_of_its_own_tells_what_it_did(public: Gateway, rasa: FakeRasa, tmp_path: Path) -> None:
    port = free_port()
    public.environment["METRICS_PORT"] = str(port)
    worker = public.command("worker")
    try:
        for _ in range(200):
            try:
                metrics = told(f"http://127.0.0.1:{port}", TOKEN)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert value(metrics, "zhanggui_turns_total", outcome="answered") == 0
        assert httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).status_code == 404
        worker.terminate()
        assert worker.wait(20) == 0
    finally:
        worker.kill()
