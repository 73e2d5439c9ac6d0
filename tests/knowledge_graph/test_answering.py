"""Answers follow the graph: what is written there is told, without a restart and whatever happens to the graph."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import encoder
import settings
from knowledge_graph import Graph, answering, learning
from knowledge_graph.answering import Answering, sure
from knowledge_graph.client import GraphDown
from knowledge_graph.content import Answer, load
from knowledge_graph.entries import Content, Entry
from knowledge_graph.learning import LearningFailed
from knowledge_graph.migrations import migrate
from knowledge_graph.retrieval import Background, Judge, Question, Retriever, Subject
from tests.knowledge_graph.servers import PASSWORD, Embedded, Server, start

PATIENCE = 60.0

WRAPPING = Entry(
    id="gift_wrapping",
    kind="faq",
    topic="presale",
    title="礼品包装",
    answer="可以，下单备注“礼品包装”，加收 {wrapping_yuan} 元。",
    ask=("能包成礼物吗", "有礼品包装吗", "送人的能包漂亮点吗", "礼物包装多少钱", "可以加个蝴蝶结吗"),
    facts={"wrapping_yuan": 5},
)
ENGRAVING = Entry(
    id="engraving",
    kind="policy",
    topic="return_exchange",
    title="刻字的商品",
    answer="刻了字的杯子不能退，有质量问题可以换。",
    ask=("刻字的杯子能退吗", "刻了名字还能退不", "定制刻字退货", "刻错字了怎么办", "杯子刻字后能换吗"),
    facts={},
)
TASTING = Entry(
    id="tasting",
    kind="faq",
    topic="price_promo",
    title="试吃会",
    answer="每周六下午三点在中庭试吃。",
    ask=("试吃会什么时候", "周末有试吃吗", "哪里可以试吃", "试吃活动在哪办", "几点开始试吃"),
    facts={},
    valid_from=date(2026, 3, 1),
    valid_until=date(2026, 3, 31),
)
SHOP = (WRAPPING, ENGRAVING, TASTING)
IN_MARCH, IN_APRIL = date(2026, 3, 31), date(2026, 4, 1)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing was trained, nothing is stored."""
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One kind: what is learned begins where the graph has been read, and that is tried on both elsewhere."""
    server = start(Embedded, tmp_path_factory.mktemp("answering"))
    yield server
    server.stop()


@pytest.fixture
def own_process(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is started here asks the same graph."""
    name(server, monkeypatch)


def name(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in (("GRAPH_URI", server.uri), ("GRAPH_USER", server.user), ("GRAPH_PASSWORD", PASSWORD)):
        monkeypatch.setenv(key, value)


async def write(graph: Graph, *entries: Entry) -> None:
    await load(graph, Content(entries, ()))


def told(house: Answering, text: str, day: date = IN_MARCH) -> Answer | None:
    """The answer that it is sure of."""
    (found,) = house.find([Question(text)], day)
    return found[0].answer if sure(found) else None


def retrievers() -> list[str]:
    """Stored ones, and what has been left half done."""
    return sorted(folder.name for folder in settings.retrievers_dir().iterdir())


async def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.05)


# ---- from the graph --------------------------------------------------------------------------------------------------


async def test_what_is_in_the_graph_is_found(graph: Graph) -> None:
    house = Answering(graph)
    assert (house.ready, house.answer("engraving")) == (False, None)
    assert house.find([Question("能包成礼物吗"), Question("")]) == [[], []]
    await write(graph, *SHOP)
    await house.look()
    assert house.ready
    for entry in SHOP:
        for ask in entry.ask:
            answer = told(house, ask)
            assert answer and (answer.id, answer.text) == (entry.id, entry.text), ask
    assert house.find([]) == []
    assert told(house, "火星上能送货吗") is None
    known = house.answer("gift_wrapping")
    assert known and known.text.endswith("加收 5 元。")


@pytest.mark.parametrize("few", [(), (WRAPPING,)], ids=["none", "one"])
async def test_there_must_be_two(graph: Graph, few: Sequence[Entry]) -> None:
    await write(graph, *few)
    house = Answering(graph)
    await house.look()
    assert not house.ready
    assert not await house.wait(0.01)


CHANGES = {
    "a number": ((replace(WRAPPING, facts={"wrapping_yuan": 8}),), "能包成礼物吗", "加收 8 元。"),
    "the text": ((replace(WRAPPING, answer="包装免费。", facts={}),), "能包成礼物吗", "包装免费。"),
    "the ways of asking": ((replace(WRAPPING, ask=("盲盒里有啥", "盲盒有隐藏款吗")),), "盲盒里有啥", "加收 5 元。"),
    "a new entry": (
        (WRAPPING, replace(WRAPPING, id="box", answer="看运气。", facts={}, ask=("盲盒里有啥", "盲盒有隐藏款吗"))),
        *("盲盒里有啥", "看运气。"),
    ),
}


@pytest.mark.parametrize(("entries", "text", "end"), CHANGES.values(), ids=CHANGES)
async def test_what_changes_is_told_anew(graph: Graph, entries: Sequence[Entry], text: str, end: str) -> None:
    await write(graph, *SHOP)
    house = Answering(graph)
    await house.look()
    before = told(house, text)
    assert before is None or not before.text.endswith(end)
    await write(graph, *entries, ENGRAVING, TASTING)
    await house.look()
    after = told(house, text)
    assert after and after.text.endswith(end)


async def test_what_leaves_the_graph_is_not_told_any_more(graph: Graph) -> None:
    await write(graph, *SHOP)
    house = Answering(graph)
    await house.look()
    await write(graph, WRAPPING, TASTING)
    await house.look()
    assert house.answer("engraving") is None
    assert {one.answer.id for one in house.find([Question("刻字的杯子能退吗")], IN_MARCH)[0]} <= {
        *("gift_wrapping", "tasting")
    }


@pytest.mark.parametrize(
    ("day", "is_told"),
    [(date(2026, 2, 28), False), (date(2026, 3, 1), True), (IN_MARCH, True), (IN_APRIL, False)],
)
async def test_an_answer_is_told_on_its_days(graph: Graph, day: date, is_told: bool) -> None:
    await write(graph, *SHOP)
    house = Answering(graph)
    await house.look()
    (found,) = house.find([Question("周末有试吃吗")], day)
    assert ("tasting" in {one.answer.id for one in found}) is is_told
    assert (told(house, "周末有试吃吗", day) is not None) is is_told
    if not is_told:  # but it is there for whoever names it
        assert house.answer("tasting")


async def test_other_days_are_heard_of_without_learning_anew(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    await write(graph, *SHOP)
    house = Answering(graph)
    await house.look()
    monkeypatch.setattr(Retriever, "learn", None)
    await write(graph, WRAPPING, ENGRAVING, replace(TASTING, valid_until=IN_APRIL))
    await house.look()
    assert told(house, "周末有试吃吗", IN_APRIL)


# ---- learned once ----------------------------------------------------------------------------------------------------


async def test_a_retriever_is_learned_once(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    await write(graph, *SHOP)
    await Answering(graph).look()
    assert len(retrievers()) == 1
    monkeypatch.setattr(Retriever, "learn", None)
    again = Answering(graph)
    await again.look()
    assert told(again, "有礼品包装吗")


@pytest.mark.parametrize("file", ["retriever.json", "words.npz", "topics.json"])
@pytest.mark.parametrize("left", [0, 100])
async def test_a_damaged_one_is_learned_anew(graph: Graph, file: str, left: int) -> None:
    await write(graph, *SHOP)
    await Answering(graph).look()
    (kept,) = retrievers()
    os.truncate(settings.retrievers_dir() / kept / file, left)
    house = Answering(graph)
    await house.look()
    assert told(house, "有礼品包装吗")
    assert retrievers() == [kept]


def subject_lists(count: int) -> list[list[Subject]]:
    return [
        learning.subjects([replace(WRAPPING, title=f"礼品包装{'啊' * (number % 2)}{chr(0x4E00 + number)}"), ENGRAVING])
        for number in range(count)
    ]


def test_old_ones_give_way(models: Path) -> None:
    names = [learning.learn(known) for known in subject_lists(3)]
    for age, one in enumerate(reversed(names)):
        os.utime(models / "retrievers" / one, (time.time() - 100 * (age + 1),) * 2)
    assert learning.stored(names[0])  # used just now
    newest = learning.learn(subject_lists(4)[-1])
    assert learning.KEPT == 3
    assert retrievers() == sorted([names[0], names[2], newest])


def test_what_a_killed_learner_left_is_cleared_away(models: Path) -> None:
    first, second = subject_lists(2)
    for folder in (".dead", ".learning_now", learning.fingerprint(second)):
        (models / "retrievers" / folder).mkdir(parents=True)
        (models / "retrievers" / folder / "words.npz").write_bytes(b"half")
    os.utime(models / "retrievers" / ".dead", (time.time() - 3600,) * 2)
    names = [learning.learn(first), learning.learn(second)]
    assert retrievers() == sorted([*names, ".learning_now"])
    assert all(learning.stored(one) for one in names)


# ---- in a process of its own -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_process")
async def test_two_learners_at_once_leave_one_good_retriever(graph: Graph) -> None:
    await write(graph, *SHOP)
    await asyncio.gather(learning.learn_apart(), learning.learn_apart())
    (kept,) = retrievers()
    assert learning.stored(kept)
    house = Answering(graph)
    await house.look(apart=True)
    assert told(house, "能包成礼物吗")


@pytest.mark.usefixtures("own_process")
async def test_a_learner_that_has_an_encoder_serves_one_that_has_none(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before, it learned again and again what the house could not find."""
    if encoder.load() is None:
        pytest.skip("there is no encoder here")
    await write(graph, *SHOP)
    monkeypatch.setattr(encoder, "load", lambda: None)
    house = Answering(graph)
    await house.look(apart=True)
    assert told(house, "能包成礼物吗")
    assert [line for line in caplog.messages if "by words alone" in line]
    assert learning.fingerprint(learning.subjects(SHOP)) not in retrievers()


def test_who_waits_for_a_learner_finds_it_done(monkeypatch: pytest.MonkeyPatch) -> None:
    (known,) = subject_lists(1)
    learned = []
    real = Retriever.learn

    def learn(*material: Any) -> Retriever:
        learned.append(material)
        return real(*material)

    monkeypatch.setattr(Retriever, "learn", learn)
    with ThreadPoolExecutor() as pool:
        with learning.alone():
            waiting = [pool.submit(learning.learn, known) for _ in range(3)]
            assert not wait(waiting, 0.3).done  # nobody learns beside the one that does
        names = {one.result() for one in waiting}
    assert retrievers() == sorted(names)
    assert len(learned) == 1


def test_who_waits_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "SECONDS", 0.0)
    with learning.alone(), pytest.raises(LearningFailed, match="another process"), learning.alone():
        pass


@pytest.mark.parametrize("fitted_with", [None, "another encoder"])
def test_a_judge_that_was_not_fitted_with_this_encoder_is_not_asked(
    fitted_with: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if encoder.load() is None:
        pytest.skip("there is no encoder here")
    (known,) = subject_lists(1)
    by_words, by_both = Judge(5.0, 1.0, 1.0, 0.0, 0.0), Judge(1.0, 0.5, 30.0, 0.0, 20.0)
    background = {"unanswered": ["今天天气怎么样"], "topics": []}
    state = {"by_words": asdict(by_words), "by_both": asdict(by_both), "fitted_with": fitted_with}
    settings.answering_dir().mkdir(parents=True)
    (settings.answering_dir() / "trained.json").write_text(json.dumps(state | {"background": background}))
    retriever = learning.stored(learning.learn(known))
    assert retriever
    alone = Retriever.learn(known, Background(("今天天气怎么样",)), None, by_words)
    asked = [Question("能包成礼物么"), Question("刻了字能退么")]
    for one, other in zip(retriever.find(asked), alone.find(asked), strict=True):
        assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=1e-3)
    assert [line for line in caplog.messages if "without this encoder" in line]


def test_a_folder_that_may_only_be_read_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    name = learning.learn(subject_lists(1)[0])

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refuse)
    assert learning.stored(name)
    assert retrievers() == [name]


@pytest.mark.usefixtures("own_process")
async def test_a_learner_that_is_refused_says_so(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_USER", "nobody")
    with pytest.raises(LearningFailed, match="refuses GRAPH_USER and GRAPH_PASSWORD"):
        await learning.learn_apart()


@pytest.mark.usefixtures("own_process")
async def test_a_learner_without_answers_says_so(graph: Graph) -> None:
    with pytest.raises(LearningFailed, match="no answers in the graph"):
        await learning.learn_apart()


async def test_a_learner_starts_no_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The house does that, and would find its port taken."""
    for key in ("GRAPH_URI", "GRAPH_USER", "GRAPH_PASSWORD"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "house"))
    monkeypatch.setenv("GRAPH_PORT", "1")
    with pytest.raises(LearningFailed, match="does not answer"):
        await learning.learn_apart()
    assert not settings.graph_dir().exists()


# ---- while the graph comes and goes ----------------------------------------------------------------------------------


async def test_answers_outlive_the_graph_and_follow_it_again(mortal: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "LOOK_SECONDS", 0.1)
    name(mortal, monkeypatch)
    async with mortal.graph(seconds=5) as graph:
        await migrate(graph)
        house = Answering(graph)
        following = asyncio.create_task(house.keep())
        try:
            await write(graph, *SHOP)
            assert await house.wait(PATIENCE)
            assert told(house, "能包成礼物吗")

            mortal.kill()
            with pytest.raises(GraphDown):
                await house.look()
            await asyncio.sleep(0)
            assert told(house, "能包成礼物吗")
            assert not following.done()

            await asyncio.to_thread(mortal.start)
            await write(graph, replace(WRAPPING, answer="包装免费。", facts={}), ENGRAVING, TASTING)
            await until(lambda: (now := told(house, "能包成礼物吗")) and now.text == "包装免费。")
            assert not following.done()
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def test_a_graph_that_misbehaves_does_not_stop_the_following(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a refused statement nor a learner that fails."""
    monkeypatch.setattr(answering, "LOOK_SECONDS", 0.05)
    await write(graph, *SHOP)
    house = Answering(graph)
    await house.look()
    await graph.write("MATCH (n:Faq {id: 'tasting'}) SET n.version = 'another', n.facts = 'no JSON'")
    with pytest.raises(ValueError, match="Expecting value"):
        await house.look()
    following = asyncio.create_task(house.keep())
    try:
        await asyncio.sleep(0)
        assert told(house, "周末有试吃吗")
        await write(graph, WRAPPING, ENGRAVING, replace(TASTING, answer="改到周日。"))
        learning.learn(learning.subjects([WRAPPING, ENGRAVING, replace(TASTING, answer="改到周日。")]))
        await until(lambda: (now := told(house, "周末有试吃吗")) and now.text == "改到周日。")
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
