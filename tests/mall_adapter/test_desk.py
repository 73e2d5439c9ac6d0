"""The service desk on SQLite and PostgreSQL: who waits, who talks, what reaches the customer, what trainers look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import Desk, models
from mall_adapter.desk_rules import DeskRules
from mall_adapter.errors import InvalidTransition, NotFound
from mall_adapter.handoff import ComplaintKind, DeskEvent, Dispatch, HandoffReason, HandoffStatus
from privacy import current_ring
from privacy.conversations import conversation_of, seal_events
from privacy.tables import conversation_event
from storage import create_engine
from tests.mall_adapter.offices import LI, WANG

from .conftest import NOW, Clock

HOURS = (time(9), time(21))
ASKED = HandoffReason.ASKED


@pytest.fixture
def desk(engine: AsyncEngine, clock: Clock) -> Desk:
    return Desk(engine, HOURS, clock)


@pytest.fixture
async def desks(url: str, clock: Clock) -> AsyncIterator[list[Desk]]:
    """The same desk seen by three processes' worth of connections."""
    engines = [create_engine(url) for _ in range(3)]
    yield [Desk(engine, HOURS, clock) for engine in engines]
    for engine in engines:
        await engine.dispose()


async def told(desk: Desk) -> list[Dispatch]:
    """Everything that the bot is to be told, told."""
    sent: list[Dispatch] = []
    while dispatches := await desk.dispatches():
        for dispatch in dispatches:
            await desk.delivered(dispatch, [{"text": dispatch.text}])
        sent += dispatches
    return sent


async def test_one_hand_off_from_the_wish_to_the_stars(desk: Desk, clock: Clock) -> None:
    wish = await desk.request("web:ann", HandoffReason.COMPLAINT, "k1")
    assert (wish.sender, wish.reason, wish.status) == ("web:ann", HandoffReason.COMPLAINT, HandoffStatus.WAITING)
    assert await desk.live("web:ann") == wish
    assert await desk.open_handoffs() == [wish]

    clock.advance(minutes=2)
    await desk.claim(WANG, wish.id)
    clock.advance(seconds=30)
    await desk.say(WANG, wish.id, "您好，我来处理", "o1")
    clock.advance(minutes=5)
    await desk.say(WANG, wish.id, "已经补发", "o2")
    clock.advance(minutes=1)
    await desk.hand_back(WANG, wish.id, resolved=True)
    assert await desk.live("web:ann") is None
    assert await desk.open_handoffs() == []
    assert await desk.rate("web:ann", 4) is not None

    done = await desk.handoff(wish.id)
    assert (done.operator, done.resolved, done.stars) == ("小王", True, 4)
    waited = [done.requested_at, done.claimed_at, done.first_answer_at, done.ended_at]
    assert [moment - NOW for moment in waited if moment] == [
        timedelta(),
        timedelta(minutes=2),
        timedelta(minutes=2, seconds=30),
        timedelta(minutes=8, seconds=30),
    ]


async def test_asking_again_finds_the_live_one(desk: Desk) -> None:
    first = await desk.request("web:ann", ASKED, "k1")
    assert (await desk.request("web:ann", ASKED, "k2")).id == first.id
    await desk.withdraw("web:ann", "w1")
    assert (await desk.request("web:ann", ASKED, "k3")).id != first.id
    # a turn that is played again after a crash does not ask anew
    assert (await desk.request("web:ann", ASKED, "k2")).status is HandoffStatus.WITHDRAWN


async def test_the_queue(desk: Desk) -> None:
    ann, bob, eve = [await desk.request(f"web:{name}", ASKED, name) for name in ("ann", "bob", "eve")]
    assert [await desk.position(one) for one in (ann, bob, eve)] == [0, 1, 2]
    await desk.claim(WANG, bob.id)
    assert await desk.position(eve) == 1
    await desk.withdraw("web:ann", "w2")
    assert await desk.position(eve) == 0
    assert [one.id for one in await desk.open_handoffs()] == [bob.id, eve.id]


async def test_what_is_not_possible_is_refused(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await desk.claim(WANG, 4711)
    assert await desk.withdraw("web:ann", "w3") is None
    assert await desk.rate("web:ann", 5) is None
    wish = await desk.request("web:ann", ASKED, "k1")
    for refused in (desk.say(WANG, wish.id, "你好", "o1"), desk.hand_back(WANG, wish.id, True)):
        with pytest.raises(InvalidTransition):
            await refused
    await desk.claim(WANG, wish.id)
    with pytest.raises(InvalidTransition):
        await desk.withdraw("web:ann", "w4")
    with pytest.raises(InvalidTransition):
        await desk.claim(LI, wish.id)
    await desk.hand_back(WANG, wish.id, False)
    for refused in (
        desk.say(WANG, wish.id, "还在吗", "o2"),
        desk.hand_back(WANG, wish.id, True),
        desk.claim(WANG, wish.id),
    ):
        with pytest.raises(InvalidTransition):
            await refused
    for stars in (0, 6):
        with pytest.raises(ValueError, match="stars"):
            await desk.rate("web:ann", stars)


async def test_a_week_later_a_rating_means_something_else(desk: Desk, clock: Clock) -> None:
    wish = await desk.request("web:ann", ASKED, "k1")
    await desk.claim(WANG, wish.id)
    await desk.hand_back(WANG, wish.id, True)
    clock.advance(days=8)
    assert await desk.rate("web:ann", 1) is None


async def test_for_how_long_it_may_be_rated_operators_say(engine: AsyncEngine, desk: Desk, clock: Clock) -> None:
    rules = DeskRules("rating_days: 9\nshown_again_hours: 72\n")
    patient = Desk(engine, HOURS, clock, rules)
    wish = await desk.request("web:ann", ASKED, "k1")
    await desk.claim(WANG, wish.id)
    await desk.hand_back(WANG, wish.id, True)
    clock.advance(days=8)
    assert await desk.rate("web:ann", 1) is None
    assert await patient.rate("web:ann", 1) is not None
    rules.take("rating_days: 7\nshown_again_hours: 72\n")
    assert await patient.rate("web:ann", 1) is None


async def test_every_step_is_a_dispatch_and_a_repeated_one_is_none(desk: Desk) -> None:
    wish = await desk.request("web:ann", ASKED, "k1")
    for _ in range(2):
        await desk.claim(WANG, wish.id)
    for _ in range(2):
        await desk.say(WANG, wish.id, "您好", "o1")
    for _ in range(2):
        await desk.hand_back(WANG, wish.id, True)
    await desk.say(WANG, wish.id, "您好", "o1")  # its answer was lost on the way to the page
    assert await desk.unsent("web:ann") == ["您好"]
    sent = await told(desk)
    assert [(each.sender, each.position, each.event, each.text) for each in sent] == [
        ("web:ann", 1, DeskEvent.PAUSE, "小王"),
        ("web:ann", 2, DeskEvent.SAID, "您好"),
        ("web:ann", 3, DeskEvent.RESUME, ""),
    ]
    assert len({each.message_id for each in sent}) == 3
    assert await desk.unsent("web:ann") == []


async def test_the_customer_gets_updates_in_order_once_the_bot_has_recorded_them(desk: Desk, clock: Clock) -> None:
    assert await desk.updates("web:ann") == (False, [])
    wish = await desk.request("web:ann", ASKED, "k1")
    await desk.claim(WANG, wish.id)
    await desk.say(WANG, wish.id, "您好", "o1")
    (pause,) = await desk.dispatches("web:ann")
    assert await desk.dispatches() == []  # the second waits for the first
    assert await desk.updates("web:ann") == (True, [])
    await desk.delivered(pause, [{"text": "小王来了"}])
    await desk.delivered(pause, [{"text": "twice"}])
    (said,) = await desk.dispatches()
    await desk.delivered(said, [{"text": "您好"}])
    live, updates = await desk.updates("web:ann")
    assert live
    assert [(each.position, each.messages) for each in updates] == [
        (1, [{"text": "小王来了"}]),
        (2, [{"text": "您好"}]),
    ]
    assert [each.position for each in (await desk.updates("web:ann", after=1))[1]] == [2]
    assert await desk.updates("web:bob") == (False, [])

    await desk.hand_back(WANG, wish.id, True)
    (resume,) = await desk.dispatches("web:ann")
    await desk.delivered(resume, [])
    assert [each.position for each in (await desk.updates("web:ann"))[1]] == [1, 2, 3]
    clock.advance(days=2)
    assert await desk.updates("web:ann") == (False, [])
    again = await desk.request("web:ann", ASKED, "k2")
    await desk.claim(LI, again.id)
    assert [each.position for each in await desk.dispatches()] == [4]


async def test_three_processes_at_once(desks: list[Desk]) -> None:
    wishes = await asyncio.gather(*(desk.request("web:ann", ASKED, f"k{n}") for n, desk in enumerate(desks * 2)))
    assert len({wish.id for wish in wishes}) == 1
    who = [await desks[0].operator(f"客服{n}", "dashboard") for n in range(3)]
    claims = [desk.claim(actor, wishes[0].id) for actor, desk in zip(who, desks, strict=True)]
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    assert sum(isinstance(outcome, InvalidTransition) for outcome in outcomes) == 2
    said = [desk.say(WANG, wishes[0].id, str(n), f"o{n % 6}") for n, desk in enumerate(desks * 4)]
    await asyncio.gather(*said)
    sent = await told(desks[0])
    assert [each.position for each in sent] == list(range(1, 8))
    assert len({each.message_id for each in sent}) == 7


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-11 00:59", "2026-03-11 09:00"),
        ("2026-03-11 01:00", None),
        ("2026-03-11 12:59", None),
        ("2026-03-11 13:00", "2026-03-12 09:00"),
        ("2026-03-11 18:00", "2026-03-12 09:00"),
    ],
)
async def test_people_are_there_from_nine_to_nine_in_shanghai(
    desk: Desk, clock: Clock, now: str, opens: str | None
) -> None:
    clock.now = datetime.fromisoformat(now).replace(tzinfo=UTC)
    back = desk.opens_at()
    assert (back and back.strftime("%Y-%m-%d %H:%M")) == opens


async def test_the_trainers_queue(desk: Desk, clock: Clock) -> None:
    guesses = [("order_status", 0.2512), ("track_parcel", 0.2)]
    for _ in range(2):
        await desk.note_misunderstood("web:ann", "那个啥来着", guesses, "m1")
    await desk.note_misunderstood("web:bob", "嘎嘎", [], "m1")
    newest, oldest = await desk.misunderstood()
    assert (newest.text, oldest.text, oldest.guesses) == (
        "嘎嘎",
        "那个啥来着",
        [("order_status", 0.251), ("track_parcel", 0.2)],
    )
    assert [each.id for each in await desk.misunderstood(limit=1)] == [newest.id]
    await desk.settle(WANG, oldest.id, "order_status")
    assert [each.id for each in await desk.misunderstood()] == [newest.id]
    (settled,) = await desk.misunderstood(settled=True)
    assert (settled.intent, settled.settled_at) == ("order_status", clock.now)
    with pytest.raises(NotFound):
        await desk.settle(WANG, 4711)


async def test_complaints_are_kept_by_kind_until_somebody_has_dealt_with_them(desk: Desk, clock: Clock) -> None:
    harmed, courier = ComplaintKind.HARMED, ComplaintKind.COURIER
    for _ in range(2):  # the turn was lost and came again
        await desk.note_complaint("web:ann", harmed, "面霜用了起疹子", "m1")
    await desk.note_complaint("web:ann", harmed, "脸都肿了", "m2", order_id="ORD10001")
    await desk.note_complaint("web:ann", courier, "骑手骂人", "m3")
    await desk.note_complaint("web:ann", courier, "", "m4", enquiry=True)  # a button
    await desk.note_complaint("web:bob", harmed, "烫到手了", "m1")
    bob, rude, hurt = await desk.complaints()
    assert (hurt.kind, hurt.words, hurt.order_id, hurt.enquiry) == (
        harmed,
        "面霜用了起疹子\n脸都肿了",
        "ORD10001",
        False,
    )
    assert (rude.kind, rude.words, rude.order_id, rude.enquiry) == (courier, "骑手骂人", None, True)
    assert hurt.conversation == rude.conversation != bob.conversation

    await desk.settle_complaint(WANG, hurt.id)
    await desk.settle_complaint(WANG, hurt.id)
    assert await desk.complaints() == [bob, rude]
    await desk.note_complaint("web:ann", harmed, "又起了", "m5")
    assert (await desk.complaints())[0].words == "又起了"
    with pytest.raises(NotFound):
        await desk.settle_complaint(WANG, 4711)


async def test_of_a_complaint_without_end_the_latest_is_kept(desk: Desk) -> None:
    for number in range(30):
        await desk.note_complaint("web:ann", ComplaintKind.OTHER, f"{number}" + "气" * 100, f"m{number}")
    (complaint,) = await desk.complaints()
    assert len(complaint.words) == 2000
    assert complaint.words.endswith("29" + "气" * 100)


async def a_busy_day(desk: Desk) -> None:
    wish = await desk.request("web:ann", ASKED, "k1")
    await desk.live("web:ann")
    await desk.position(wish)
    await desk.open_handoffs()
    await desk.claim(await desk.operator("王小美", "dashboard"), wish.id)
    await desk.say(WANG, wish.id, "给欧阳女士补发", "o1")
    await desk.delivered((await desk.dispatches("web:ann"))[0], [{"text": "王小美来了"}])
    await desk.dispatches()
    await desk.unsent("web:ann")
    await desk.history("web:ann")
    await desk.updates("web:ann")
    await desk.updates("web:ann", after=0)
    await desk.hand_back(WANG, wish.id, True)
    await desk.rate("web:ann", 5)
    await desk.note_misunderstood("web:ann", "我叫欧阳", [("request_return", 0.3)], "m1")
    await desk.note_complaint("web:ann", ComplaintKind.HARMED, "我叫欧阳，起疹子了", "m2", order_id="ORD10001")
    await desk.settle_complaint(WANG, (await desk.complaints())[0].id)
    await desk.misunderstood()
    await desk.settle(WANG, (await desk.misunderstood())[0].id, "request_return")


async def test_nothing_that_was_said_lies_open(desk: Desk, engine: AsyncEngine) -> None:
    await a_busy_day(desk)
    rows: list[Any] = []
    async with engine.connect() as connection:
        for table in models.Base.metadata.tables:
            rows += (await connection.exec_driver_sql(f"SELECT * FROM {table}")).all()  # noqa: S608
    stored = repr(rows)
    for secret in ("欧阳", "王小美", "web:ann", "request_return"):
        assert secret not in stored
        assert repr(secret.encode())[2:-1] not in stored


async def test_no_question_reads_a_whole_table(desk: Desk, engine: AsyncEngine) -> None:
    asked: dict[str, Any] = {}

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_: Connection, __: object, statement: str, parameters: Any, ___: object, ____: bool) -> None:
        if statement.startswith("SELECT"):
            asked[statement] = parameters

    await a_busy_day(desk)
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    assert len(asked) > 10
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # which otherwise reads small tables whole
            await connection.execute(text("SET enable_seqscan = off"))
        explain = "EXPLAIN " if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
        for statement, parameters in asked.items():
            plan = str((await connection.exec_driver_sql(explain + statement, parameters)).all())
            assert "Seq Scan" not in plan, statement
            # what still waits is few, and its index holds nothing else
            plan = plan.replace("SCAN CONSTANT ROW", "")
            for index in ("misunderstood_open", "complaint_open"):
                plan = plan.replace(f"SCAN {index.partition('_')[0]} USING INDEX ix_{index}", "")
            assert "SCAN" not in plan, statement


# ---- what was said, for the customer's own pages ---------------------------------------------------------------------


def said(text: str | None, by: str | None = None, desk_id: str | None = None, **data: Any) -> dict[str, Any]:
    metadata = {name: value for name, value in (("by", by), ("desk_id", desk_id)) if value}
    return {"event": "bot", "text": text, "data": {"buttons": None, "image": None, **data}, "metadata": metadata}


def heard(text: str, message_id: str) -> dict[str, Any]:
    return {"event": "user", "text": text, "message_id": message_id, "parse_data": {"intent": {"name": "x"}}}


async def record(engine: AsyncEngine, sender: str, at: datetime, *rows: list[dict[str, Any]], session: int = 0) -> None:
    """Rows as the bot writes them behind those that are there; they stay when the test is over."""
    table, ring = conversation_event, current_ring()
    async with engine.begin() as connection:
        end = func.coalesce(func.max(table.c.position + table.c.length), 0)
        query = select(end).where(table.c.conversation == conversation_of(ring, sender))
        position = (await connection.execute(query)).scalar_one()
        for events in rows:
            stamped = [{"timestamp": at.timestamp(), **each} for each in events]
            row = seal_events(ring, sender, position, session, stamped)
            await connection.execute(insert(table), vars(row))
            position += len(events)


async def test_a_code_is_for_the_customer_alone(desk: Desk, engine: AsyncEngine) -> None:
    told = said("绑定码 804215，5 分钟内有效，在那边发“绑定码 804215”。")
    told["metadata"] = {"utter_action": "utter_account_code", "code": "804215"}
    slot = {"event": "slot", "name": "account_code", "value": "804215"}
    await record(engine, "web:code", NOW, [heard("绑定码", "m1"), told, slot], [heard("ORD80421", "m2"), said("好")])
    lines, _ = await desk.transcript("web:code")
    assert [line.text for line in lines][:2] == ["绑定码", "绑定码 ••••••，5 分钟内有效，在那边发“绑定码 ••••••”。"]
    looked = await desk.look_into(WANG, conversation_of(current_ring(), "web:code"))
    assert "804215" not in repr(looked.events)
    assert "ORD80421" in repr(looked.events)
    _, exchanges, _ = await desk.history("web:code")
    assert "804215" in str(exchanges[0].messages)


async def test_the_history_is_what_the_customer_saw(desk: Desk, engine: AsyncEngine) -> None:
    buttons = [
        {"title": "颜色", "payload": "/inform"},
        {"title": "颜色", "payload": "/other"},
        {"title": "都不是"},
    ]
    card = {"cards": [{"title": "水壶"}]}
    rows = [
        [{"event": "action", "name": "action_session_start"}, heard("退货", "m1"), said("为什么？", buttons=buttons)],
        [
            heard("/inform", "m2"),
            said("好", custom=card),
            {"event": "slot", "name": "secret", "value": "x"},
            said(None),
        ],
        [{"event": "pause"}, said("小王来了", "desk", "p1")],
        [heard("在吗", "m3")],
        [said("我在 https://a.example", "operator", "o1", custom={"by": "operator"})],
    ]
    await record(engine, "web:cai", NOW, *rows)
    more, exchanges, after = await desk.history("web:cai")
    assert not more
    assert [(each.id, each.text, each.messages) for each in exchanges] == [
        (
            "m1",
            "退货",
            [
                {
                    "text": "为什么？",
                    "buttons": [
                        {"title": "颜色", "payload": "/inform"},
                        {"title": "都不是", "payload": "都不是"},
                    ],
                }
            ],
        ),
        ("m2", "/inform", [{"text": "好", "custom": card}]),
        ("p1", None, [{"text": "小王来了"}]),
        ("m3", "在吗", []),
        ("o1", None, [{"text": "我在 https://a.example", "custom": {"by": "operator"}}]),
    ]
    assert [each.position for each in exchanges] == sorted(each.position for each in exchanges)
    assert await desk.history("web:cai", after) == (False, [], after)
    assert await desk.history("web:bob") == (False, [], 0)
    await record(engine, "web:cai", NOW, [heard("谢谢", "m4"), said("不客气")])
    _, (new,), later = await desk.history("web:cai", after)
    assert (new.id, new.position, later) == ("m4", after, after + 2)


async def test_the_history_of_a_new_window_is_the_present_session_for_a_day(
    desk: Desk, engine: AsyncEngine, clock: Clock
) -> None:
    await record(engine, "web:dou", NOW - timedelta(days=3), [heard("旧的", "m1"), said("嗯")])
    await record(engine, "web:dou", NOW, [heard("新的", "m2"), said("嗯")], session=2)
    _, exchanges, after = await desk.history("web:dou")
    assert [each.id for each in exchanges] == ["m2"]
    _, exchanges, _ = await desk.history("web:dou", 0)  # a window that saw the beginning
    assert [each.id for each in exchanges] == ["m1", "m2"]
    clock.advance(days=1, minutes=1)
    assert await desk.history("web:dou") == (False, [], after)


async def test_a_long_history_comes_in_parts(desk: Desk, engine: AsyncEngine) -> None:
    await record(engine, "web:eva", NOW, *([heard(f"第{number}句", f"m{number}")] for number in range(250)))
    _, exchanges, after = await desk.history("web:eva")
    assert (exchanges[0].id, len(exchanges), after) == ("m150", 100, 250)
    ids: list[str] = []
    more, after = True, 0
    while more:
        more, exchanges, after = await desk.history("web:eva", after)
        ids += [each.id for each in exchanges]
    assert ids == [f"m{number}" for number in range(250)]


async def test_a_place_that_is_none_in_the_history(desk: Desk, engine: AsyncEngine) -> None:
    await record(engine, "web:fei", NOW, [heard("一", "m1"), said("嗯")])
    # inside a row, and beyond the end: the conversation was deleted and begun anew
    assert [len((await desk.history("web:fei", after))[1]) for after in (0, 1, 2, 3, 2**31 - 1)] == [1, 0, 0, 1, 1]
    assert {(await desk.history("web:fei", after))[2] for after in (0, 1, 2, 3, 2**31 - 1)} == {2}


async def test_a_person_makes_more_come(desk: Desk, engine: AsyncEngine) -> None:
    wish = await desk.request("web:gao", ASKED, "k")
    assert (await desk.history("web:gao"))[0]
    await desk.claim(WANG, wish.id)
    await desk.hand_back(WANG, wish.id, resolved=True)
    assert (await desk.history("web:gao"))[0]  # the bot has not recorded the end yet
    await told(desk)
    assert not (await desk.history("web:gao"))[0]
    assert not (await desk.history("web:bob"))[0]


async def test_how_far_each_has_read_is_kept_for_the_two_alone(desk: Desk) -> None:
    assert await desk.reads("web:ann", 3) is None  # nobody is asked for
    wish = await desk.request("web:ann", HandoffReason.ASKED, "k1")
    await desk.reads("web:ann", 7)
    await desk.reads("web:ann", 5)  # of an older page
    await desk.reads("web:ben", 9)
    with pytest.raises(InvalidTransition):
        await desk.attend(WANG, wish.id, 7)  # not claimed yet
    await desk.claim(WANG, wish.id)
    with pytest.raises(InvalidTransition):
        await desk.attend(LI, wish.id, 7)  # looks on
    await desk.attend(WANG, wish.id, 7)
    await desk.attend(WANG, wish.id)
    found = await desk.handoff(wish.id)
    assert (found.read_by_customer, found.read_by_person) == (7, 7)
    await desk.hand_back(WANG, wish.id, resolved=True)
    assert await desk.reads("web:ann", 9) is None
