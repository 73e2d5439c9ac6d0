"""The answers of the shop in the graph."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from knowledge_graph import Graph, catalogue
from knowledge_graph.content import Loaded, answer, answers, applying_to, load
from knowledge_graph.entries import Content, read_folder
from tests.knowledge_graph.test_catalogue import SHELF, nodes_and_edges

FOLDER = Path(__file__).parent / "content"


@pytest.fixture
def content() -> Content:
    return read_folder(FOLDER, {"no_reason_days": 7})


async def test_answers_come_in_once(graph: Graph, content: Content) -> None:
    await catalogue.sync(graph, SHELF)
    assert await load(graph, content) == Loaded(written=3, unchanged=0, deleted=0)
    before = await nodes_and_edges(graph)
    assert {name: before[0][name] for name in ("Faq", "Policy", "Topic")} == {"Faq": 1, "Policy": 2, "Topic": 2}
    assert {name: before[1][name] for name in ("ABOUT", "APPLIES_TO")} == {"ABOUT": 3, "APPLIES_TO": 4}
    assert await load(graph, content) == Loaded(written=0, unchanged=3, deleted=0)
    assert await nodes_and_edges(graph) == before


async def test_an_answer_is_told_from_the_graph_alone(graph: Graph, content: Content) -> None:
    await load(graph, content)
    told = await answer(graph, "free_shipping")
    assert told and told.text == "满 59 元包邮，发顺丰。"
    assert (told.kind, told.topic, told.title) == ("policy", "delivery", "包邮门槛")
    assert told.ask == ("多少钱包邮", "邮费谁掏啊", "要运费吗")
    assert await answer(graph, "nobody_wrote_this") is None
    assert [one.id for one in await answers(graph)] == ["free_shipping", "kettle_scale", "no_reason_return"]


@pytest.mark.parametrize(
    ("day", "holds"),
    [
        (date(2025, 12, 31), False),
        (date(2026, 1, 1), True),
        (date(2027, 12, 31), True),
        (date(2028, 1, 1), False),
    ],
)
async def test_an_answer_holds_for_its_days(graph: Graph, content: Content, day: date, holds: bool) -> None:
    await load(graph, content)
    told = await answer(graph, "no_reason_return")
    assert told and told.holds_on(day) is holds


async def test_a_new_number_of_the_rules_is_a_new_answer(graph: Graph, content: Content) -> None:
    await load(graph, content)
    assert (await load(graph, read_folder(FOLDER, {"no_reason_days": 15}))).written == 2
    told = await answer(graph, "no_reason_return")
    assert told and told.text.startswith("签收后 15 天内")


async def test_what_left_the_files_leaves_the_graph(graph: Graph, content: Content) -> None:
    await load(graph, content)
    without_shipping = Content(content.entries[1:], ())
    assert await load(graph, without_shipping) == Loaded(0, 2, 1, unlinked=(*UNLINKED,))
    nodes, _ = await nodes_and_edges(graph)
    assert nodes == {"Faq": 1, "Policy": 1, "Topic": 1}


UNLINKED = [f"kettle_scale → {name}" for name in ("电水壶", "净谷 净水器", "禾炊", "净谷水业")]


SHIPPING = "content/delivery.csv"


@pytest.mark.parametrize(
    ("kept", "deleted"),
    [
        pytest.param([SHIPPING], 0, id="its file is broken"),
        pytest.param(["content/"], 0, id="its folder cannot be listed"),
        pytest.param(["content/return_exchange.yml", "content/deliver.csv"], 1, id="others are broken"),
        pytest.param([], 1, id="none is"),
    ],
)
async def test_answers_of_a_broken_file_stay(graph: Graph, content: Content, kept: list[str], deleted: int) -> None:
    await load(graph, content)
    loaded = await load(graph, Content(content.entries[1:], (), frozenset(kept)))
    assert (loaded.deleted, loaded.kept) == (deleted, 1 - deleted)
    assert (await answer(graph, "free_shipping") is None) is bool(deleted)
    assert (await load(graph, content)).written == deleted


async def test_answers_from_before_files_were_noted_stay_while_any_file_is_broken(
    graph: Graph, content: Content
) -> None:
    await load(graph, Content((replace(content.entries[0], file=""),), ()))
    await graph.write("MATCH (n:Policy) REMOVE n.file")
    assert (await load(graph, Content(content.entries[1:], (), frozenset(["content/x.csv"])))).deleted == 0
    assert (await load(graph, Content(content.entries[1:], ()))).deleted == 1


async def test_a_rule_that_becomes_a_how_to_stands_once(graph: Graph, content: Content) -> None:
    await load(graph, content)
    shipping = replace(content.entries[0], kind="faq")
    loaded = await load(graph, Content((shipping, *content.entries[1:]), (), frozenset([SHIPPING])))
    assert (loaded.written, loaded.deleted) == (1, 1)
    assert [one.kind for one in await answers(graph)] == ["faq", "faq", "policy"]


async def test_links_follow_the_catalogue(graph: Graph, content: Content) -> None:
    assert list((await load(graph, content)).unlinked) == UNLINKED
    await catalogue.sync(graph, SHELF)
    assert await load(graph, content) == Loaded(written=0, unchanged=3, deleted=0)
    for product_id in ("K1", "K4", "M1"):  # by brand and category, by category, by product and supplier
        assert [one.id for one in await applying_to(graph, product_id)] == ["kettle_scale"]
    await catalogue.sync(graph, [replace(SHELF[3], category="茶壶")])
    assert await applying_to(graph, "K4") == []
