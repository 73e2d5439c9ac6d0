"""``POST /api/feedback``, and what ``POST /api/chat`` tells of an answer's source."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Self

import httpx
import pytest

from knowledge_graph import feedback
from tests.connectors.conftest import JUDGED, KETTLE, Gateway
from tests.connectors.fake_rasa import FakeRasa
from tests.knowledge_graph.servers import Server

UP, DOWN = {"source": JUDGED.id, "helpful": True}, {"source": JUDGED.id, "helpful": False}


class Visitor(httpx.Client):
    def __init__(self, gateway: Gateway) -> None:
        super().__init__(base_url=gateway.url, trust_env=False, timeout=60)

    def __enter__(self) -> Self:
        super().__enter__()
        self.get("/")
        return self

    def judge(self, body: Any) -> int:
        return self.post("/api/feedback", json=body).status_code


@pytest.fixture
def visitors(house: Gateway) -> Iterator[tuple[Visitor, Visitor]]:
    with Visitor(house) as one, Visitor(house) as other:
        yield one, other


def counted(server: Server) -> tuple[int, int]:
    async def ask() -> tuple[int, int]:
        async with server.graph() as graph:
            found = await feedback.of(graph, JUDGED.id)
            return found.up, found.down

    return asyncio.run(ask())


def test_a_visitor_has_one_thumb_for_an_answer(graph_server: Server, visitors: tuple[Visitor, Visitor]) -> None:
    one, other = visitors
    up, down = counted(graph_server)
    for visitor, body, change in (
        (one, UP, (1, 0)),
        (one, UP, (1, 0)),
        (one, DOWN, (0, 1)),
        (other, DOWN, (0, 2)),
        (one, UP, (1, 1)),
    ):
        assert visitor.judge(body) == 204
        assert counted(graph_server) == (up + change[0], down + change[1])


def test_what_is_said_of_goods_is_judged_too(visitors: tuple[Visitor, Visitor]) -> None:
    assert visitors[0].judge({"source": KETTLE.id, "helpful": True}) == 204


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"source": "no_such_answer", "helpful": True}, 404),
        ({"source": "", "helpful": True}, 422),
        ({"source": "x" * 129, "helpful": True}, 422),
        ({"source": JUDGED.id, "helpful": "yes"}, 422),
        ({"source": JUDGED.id}, 422),
    ],
)
def test_what_is_refused(visitors: tuple[Visitor, Visitor], body: dict[str, Any], status: int) -> None:
    assert visitors[0].judge(body) == status


def test_nobody_judges_without_having_been_here(house: Gateway) -> None:
    response = httpx.post(f"{house.url}/api/feedback", json=UP, trust_env=False)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "no_visitor")


def test_the_graph_does_not_know_who_judged(graph_server: Server, visitors: tuple[Visitor, Visitor]) -> None:
    visitor = visitors[0]
    assert visitor.judge(UP) == 204
    name = next(iter(visitor.cookies.values())).partition(".")[0]

    async def stored() -> str:
        async with graph_server.graph() as graph:
            return str(await graph.read("MATCH (n:Vote) RETURN n.id AS id"))

    assert name not in asyncio.run(stored())


def test_a_graph_that_is_down_takes_no_thumbs(gateway: Gateway) -> None:
    with Visitor(gateway) as visitor:
        response = visitor.post("/api/feedback", json=UP)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "graph_unavailable")
        assert response.headers["retry-after"]
        assert visitor.post("/api/chat", json={"text": "在吗"}).status_code == 200


@pytest.mark.parametrize(
    ("messages", "source"),
    [
        ([{"text": "可以", "custom": {"source": {"id": "no_reason_return", "title": "条件"}}}], "no_reason_return"),
        ([{"text": "好的"}, {"custom": {"source": {"id": "a"}}}, {"custom": {"source": {"id": "b"}}}], "a"),
        ([{"text": "没有来源", "custom": {"cards": []}}], None),
        ([{"text": "说不清", "custom": {"source": "?"}}], None),
    ],
)
def test_the_caller_is_told_the_source(
    gateway: Gateway, rasa: FakeRasa, messages: list[dict[str, Any]], source: str | None
) -> None:
    rasa.answers["能退吗"] = messages
    answer = gateway.say("能退吗", sender=f"reader of {source}").json()
    assert answer["messages"] == messages
    assert answer["understood"].get("source") == source
    assert ("source" in answer["understood"]) == (source is not None)
