"""The page that explains a conversation: what it reads of the events, who may see it, and that looks are on record."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from itsdangerous import URLSafeTimedSerializer
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright
from sqlalchemy.ext.asyncio import AsyncSession

from connectors.dashboard.operators import COOKIE
from connectors.dashboard.turns import read_turns
from connectors.messages import caller
from mall_adapter import Desk, models, people
from mall_adapter.handoff import HandoffReason
from privacy import KeyRing
from privacy.conversations import conversation_of, seal_events
from settings import desk_hours
from storage import WRITES, create_engine
from tests.connectors.conftest import Gateway, aside

Event = dict[str, Any]

SIGN_IN = "/dashboard/api/session"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = {"phone": ViewportSize(width=360, height=740), "desktop": ViewportSize(width=1280, height=800)}
XSS = "<img src=x onerror=\"document.title='broken in'\">"
NOON = 1_773_201_600.0  # 2026-03-11 04:00 UTC

STACK = [
    {"flow": "track_parcel", "intent": "track_parcel", "key": "a1", "asks": {"order_id": 1}, "asked": None},
    {
        "flow": "after_sales",
        "intent": "request_return",
        "key": "a2",
        "asks": {"order_id": 1, "reason": 2},
        "asked": "reason",
        "asked_in": 6,
        "status": "parked",
        "mood": "calm",
    },
]


def user(text: str, /, **parsed: Any) -> Event:
    return {"event": "user", "timestamp": NOON, "text": text, "parse_data": parsed}


def bot(text: str | None, *buttons: tuple[str, str], by: str | None = None, **data: Any) -> Event:
    shown = [{"title": title, "payload": payload} for title, payload in buttons]
    metadata = {"utter_action": "utter_it", "model_id": "m"} | ({"by": by} if by else {})
    return {"event": "bot", "text": text, "data": {"buttons": shown, "image": None, **data}, "metadata": metadata}


def action(name: str, **more: Any) -> Event:
    return {"event": "action", "name": name, "policy": None, "confidence": None, "metadata": {"model_id": "m"}, **more}


def slot(name: str, value: Any) -> Event:
    return {"event": "slot", "name": name, "value": value, "metadata": {"model_id": "m"}}


START = [action("action_session_start"), {"event": "session_started"}, action("action_listen")]
ASKED = [user("我要退货"), bot("为什么退？", ("不喜欢", "/dislike")), action("action_listen")]


# ---- the reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "turns"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(
            [*START, *ASKED], [("我要退货", "session", ["为什么退？"])], id="a session starts with its message"
        ),
        pytest.param(
            [*START, bot("接着退货吗"), *ASKED],
            [(None, "session", ["接着退货吗"]), ("我要退货", "", ["为什么退？"])],
            id="unless something was said before it",
        ),
        pytest.param(
            [*ASKED, user("嗯")], [("我要退货", "", ["为什么退？"]), ("嗯", "", [])], id="a turn for a message"
        ),
        pytest.param(
            [
                {"event": "pause"},
                bot("小王来了", by="desk"),
                bot("您好", by="operator"),
                user("在"),
                bot("好", by="operator"),
            ],
            [(None, "desk", ["小王来了", "您好"]), ("在", "", []), (None, "desk", ["好"])],
            id="the desk between messages",
        ),
        pytest.param(
            [*START, {"event": "pause"}, action("action_listen"), user("还在吗")],
            [("还在吗", "session", [])],
            id="a session that starts while an operator talks",
        ),
        pytest.param([action("action_listen"), *ASKED], [(None, "", []), ("我要退货", "", ["为什么退？"])], id="cut"),
        pytest.param([{}, {"event": None}, {"event": "user"}], [(None, "", []), ("", "", [])], id="events of nothing"),
    ],
)
def test_where_turns_begin(events: list[Event], turns: list[tuple[str | None, str, list[str]]]) -> None:
    read = [
        (
            turn.customer and turn.customer.text,
            "session" if turn.session else "desk" if turn.at_desk else "",
            [said.text for said in turn.said],
        )
        for turn in read_turns(events)
    ]
    assert read == turns


def test_what_was_understood() -> None:
    parsed = {
        "text": "退货，快递到哪了",
        "intent": {"name": "request_return", "confidence": 0.93051},
        "intent_ranking": [
            {"name": name, "confidence": confidence}
            for name, confidence in (
                ("request_return", 0.93),
                ("track_parcel", 0.04),
                ("complain", 0.02),
                ("greet", 0.01),
            )
        ],
        "entities": [{"entity": "order_id", "value": "ORD1"}, {"entity": "sku", "role": "old", "value": 2}, "odd"],
        "acts": ["inform", "request"],
        "worry": {"score": 0.25, "label": "urge", "cues": ["到哪了"]},
        "topic": "refund",
        "parts": [{"text": "快递到哪了", "intent": {"name": "track_parcel", "confidence": 0.8}}],
        "language": "zh",
        "message_id": "m1",
        "metadata": {},
    }
    (turn,) = read_turns([user("退货，快递到哪了", **parsed)])
    assert turn.customer
    meaning = asdict(turn.customer.meaning)
    (part,) = meaning.pop("parts")
    assert meaning == {
        "text": "退货，快递到哪了",
        "intent": {"intent": "request_return", "confidence": 0.931},
        "guesses": [{"intent": "track_parcel", "confidence": 0.04}, {"intent": "complain", "confidence": 0.02}],
        "entities": [("order_id", "ORD1"), ("sku old", "2"), ("", "odd")],
        "acts": ["inform", "request"],
        "worry": 0.25,
        "feeling": "urge",
        "cues": ["到哪了"],
        "topic": "refund",
        "more": [("language", "zh")],
    }
    assert (part["text"], part["intent"]) == ("快递到哪了", {"intent": "track_parcel", "confidence": 0.8})


def test_what_followed() -> None:
    state = {"turn": 7, "commands": [["StartFlow track_parcel", "intent track_parcel 0.93"], "Odd"], "stack": STACK[:1]}
    (turn,) = read_turns(
        [
            user("快递呢"),
            slot("dialogue", state),
            action("action_track", policy="dialogue", confidence=1.0),
            bot("在路上", ("好的", "/affirm"), custom={"source": {"id": "x"}}),
            slot("dialogue", {"turn": 7, "commands": [], "stack": STACK, "lost": 1, "pace": "slow"}),
            action("action_listen"),
            {"event": "active_loop", "name": "old_form", "metadata": {"model_id": "m"}},
            {"event": "quake", "strength": 7, "timestamp": 1},
        ]
    )
    assert [(each.text, each.reason) for each in turn.commands] == [
        ("StartFlow track_parcel", "intent track_parcel 0.93"),
        ("Odd", ""),
    ]
    assert turn.state
    assert (turn.state.turn, turn.state.lost, turn.state.more) == ("7", "1", [("pace", "slow")])
    below, top = turn.state.stack
    assert (below.flow, below.asked, below.parked) == ("track_parcel", None, False)
    assert (top.asked, top.asked_in, top.asks) == ("reason", "6", [("order_id", "1"), ("reason", "2")])
    assert (top.parked, top.more) == (True, [("key", "a2"), ("status", "parked"), ("mood", "calm")])
    assert [(each.name, each.policy, each.confidence) for each in turn.actions] == [
        ("action_track", "dialogue", 1.0),
        ("action_listen", None, None),
    ]
    (said,) = turn.said
    assert (said.by, said.response, said.buttons) == ("bot", "utter_it", [("好的", "/affirm")])
    assert said.more == [("custom", '{"source": {"id": "x"}}')]
    assert turn.other == [("active_loop", "old_form"), ("quake", "strength=7")]


@pytest.mark.parametrize(
    ("events", "first", "changes"),
    [
        pytest.param([slot("reason", "broken")], 0, [("reason", None, "broken", True)], id="set"),
        pytest.param([slot("reason", "broken")], 9, [("reason", None, "broken", False)], id="not seen what it was"),
        pytest.param([slot("reason", None)], 0, [], id="empty as it was"),
        pytest.param([slot("reason", None)], 9, [("reason", None, None, False)], id="perhaps emptied"),
        pytest.param([slot("n", 1), slot("n", [2])], 0, [("n", None, "[2]", True)], id="twice"),
        pytest.param([slot("n", 1), slot("n", None)], 0, [], id="and back"),
        pytest.param([slot("n", 1), user("嗯"), slot("n", 1)], 0, [], id="as in the turn before"),
        pytest.param([slot("n", 1), user("嗯"), slot("n", 2)], 0, [("n", "1", "2", True)], id="other than in it"),
        pytest.param([slot("n", 1), *START, slot("n", 1)], 0, [("n", None, "1", True)], id="a session empties all"),
        pytest.param([slot("dialogue", None)], 9, [], id="no state"),
        pytest.param([slot("dialogue", "odd")], 0, [("dialogue", None, "odd", True)], id="a state that is none"),
    ],
)
def test_slots_that_changed(events: list[Event], first: int, changes: list[tuple[Any, ...]]) -> None:
    last = read_turns([user("好"), *events], first)[-1]
    assert [(each.name, each.before, each.after, each.known) for each in last.slots] == changes


def test_a_tapped_button_has_its_title() -> None:
    tapped = read_turns([*ASKED, user("/dislike")])[-1].customer
    assert tapped
    assert (tapped.text, tapped.tapped) == ("/dislike", "不喜欢")


ODD: list[Any] = [None, "x", 7, -1.5, True, [], {}, [None], [[]], [{"name": None}], {"name": {}}, 10**400, float("nan")]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
def test_nothing_breaks_the_reading(odd: Any, gateway: Gateway, operator: httpx.Client) -> None:
    names = ("intent", "intent_ranking", "entities", "acts", "parts", "worry", "topic", "text", "new")
    frame = dict.fromkeys(("flow", "intent", "asks", "asked", "asked_in", "status", "new"), odd)
    states = [
        dict.fromkeys(("turn", "commands", "stack", "lost"), odd),
        {"stack": [frame], "commands": [odd, [odd, odd]]},
    ]
    events: list[Event] = [
        user("嗯", **dict.fromkeys(names, odd)),
        {"event": "user", "text": odd, "parse_data": odd, "timestamp": odd},
        *(slot("dialogue", state) for state in states),
        slot("any", odd),
        {"event": "slot", "name": odd, "value": odd},
        {"event": "bot", "text": odd, "data": odd, "metadata": odd},
        {"event": "bot", "text": "好", "data": {"buttons": odd, "image": odd, "custom": odd}, "metadata": {"by": odd}},
        {"event": "action", "name": odd, "policy": odd, "confidence": odd},
        {"event": odd, "name": odd},
    ]
    response = operator.get(api(store(gateway, [events])))
    assert response.status_code == 200
    assert len(response.json()["turns"]) == 2


# ---- what is stored, and who may see it ------------------------------------------------------------------------------


def key_ring(gateway: Gateway) -> KeyRing:
    return KeyRing.load(Path(gateway.environment["KEYRING_FILE"]))


def store(gateway: Gateway, saves: list[list[Event]], sender: str | None = None) -> str:
    """What the bot does; gives the conversation's hash."""
    ring, sender, position = key_ring(gateway), sender or f"web:{uuid4()}", 0
    with closing(sqlite3.connect(gateway.database, timeout=60)) as database, database:
        for events in saves:
            row = seal_events(ring, sender, position, 0, events)
            database.execute("INSERT INTO conversation_event VALUES (?, ?, ?, ?, ?)", tuple(vars(row).values()))
            position += len(events)
    return conversation_of(ring, sender)


def api(conversation: str, **query: Any) -> str:
    return str(httpx.URL(f"/dashboard/api/conversations/{conversation}", params=query))


def execute(gateway: Gateway, statement: str, *parameters: Any) -> list[Any]:
    with closing(sqlite3.connect(gateway.database, timeout=60)) as database, database:
        return database.execute(statement, parameters).fetchall()


def views(gateway: Gateway, conversation: str) -> list[Any]:
    return execute(gateway, "SELECT operator, viewed_at FROM conversation_view WHERE conversation = ?", conversation)


@contextmanager
def sign_in(gateway: Gateway, name: str) -> Iterator[httpx.Client]:
    token = Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip()
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as client:
        assert client.post(SIGN_IN, json={"token": token, "name": name}).status_code == 204
        yield client


@pytest.fixture
def operator(gateway: Gateway) -> Iterator[httpx.Client]:
    with sign_in(gateway, "小王") as client:
        yield client


def test_only_operators_see_it(gateway: Gateway) -> None:
    conversation = store(gateway, [ASKED])
    for cookie in ("", "zhanggui_operator=forged"):
        response = httpx.get(gateway.url + api(conversation), headers={"Cookie": cookie}, trust_env=False)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "signed_out")
    page = httpx.get(f"{gateway.url}/dashboard/conversations/{conversation}", trust_env=False)
    assert "口令" in page.text
    assert "conversation.js" not in page.text
    assert views(gateway, conversation) == []


def test_every_look_is_on_record(gateway: Gateway, operator: httpx.Client) -> None:
    conversation = store(gateway, [ASKED])
    page = operator.get(f"/dashboard/conversations/{conversation}")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert "conversation.js" in page.text
    assert views(gateway, conversation) == []  # nothing was shown yet

    first = operator.get(api(conversation))
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-store")
    assert first.json()["turns"][0]["customer"]["text"] == "我要退货"
    assert first.json()["viewings"] == []
    with sign_in(gateway, "小李") as other:
        (last,) = other.get(api(conversation)).json()["viewings"]
        assert last["operator"] == "小王"
    names = [each["operator"] for each in operator.get(api(conversation, before=0)).json()["viewings"]]
    assert names == ["小李", "小王"]

    rows = views(gateway, conversation)
    assert len(rows) == 3
    assert all("小".encode() not in name for name, _ in rows)
    assert len({moment for _, moment in rows}) == 3


def test_what_cannot_be_put_on_record_is_not_shown(gateway: Gateway, operator: httpx.Client) -> None:
    conversation = store(gateway, [ASKED])
    execute(
        gateway, "CREATE TRIGGER full BEFORE INSERT ON conversation_view BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    try:
        response = operator.get(api(conversation))
    finally:
        execute(gateway, "DROP TRIGGER full")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "not_on_record")
    assert "退货" not in response.text
    assert views(gateway, conversation) == []
    assert operator.get(api(conversation)).status_code == 200
    assert "我要退货" not in gateway.log.read_text()


def test_a_look_at_what_cannot_be_read_is_on_record_too(gateway: Gateway, operator: httpx.Client) -> None:
    conversation = store(gateway, [ASKED])
    execute(gateway, "UPDATE conversation_event SET sealed = x'00' WHERE conversation = ?", conversation)
    response = operator.get(api(conversation))
    assert (response.status_code, response.json()["error"]["code"]) == (409, "damaged")
    assert len(views(gateway, conversation)) == 1


@pytest.mark.parametrize(
    "conversation",
    ["0" * 64, "0" * 63, "0" * 65, "A" * 64, "web:4f2a", "%00", "' OR 1=1 --", "０" * 64, "0" * 64 + "%0a"],
    ids=["unknown", "short", "long", "upper case", "sender", "nul", "sql", "full width", "line end"],
)
def test_what_is_not_there(operator: httpx.Client, gateway: Gateway, conversation: str) -> None:
    addresses = [f"/dashboard/api/conversations/{conversation}"]
    if conversation != "0" * 64:  # its page says so itself
        addresses.append(f"/dashboard/conversations/{conversation}")
    for address in addresses:
        response = operator.get(address)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert views(gateway, conversation) == []


@pytest.mark.parametrize("before", [-1, "x", 2**31, 10**30, ""])
def test_a_place_that_is_none(operator: httpx.Client, gateway: Gateway, before: Any) -> None:
    response = operator.get(api(store(gateway, [ASKED]), before=before))
    assert response.status_code == 422
    assert set(response.json()["error"]) == {"code", "message"}


@pytest.mark.parametrize("each_save", [1, 3, 250])
def test_the_last_hundred_turns_and_older_ones(gateway: Gateway, operator: httpx.Client, each_save: int) -> None:
    said = [[user(f"第{number}句"), bot("嗯")] for number in range(250)]
    saves = [list(chain(*said[start : start + each_save])) for start in range(0, 250, each_save)]
    conversation = store(gateway, saves)
    read: list[str] = []
    before: int | None = None
    for expected in (100, 100, 50):
        answer = operator.get(api(conversation, **({} if before is None else {"before": before}))).json()
        assert len(answer["turns"]) == expected
        read = [turn["customer"]["text"] for turn in answer["turns"]] + read
        before = answer["older"]
    assert before is None
    assert read == [f"第{number}句" for number in range(250)]
    assert len(views(gateway, conversation)) == 3


def at_the_desk(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, work: Callable[[Desk], Any]) -> None:
    monkeypatch.setenv("KEYRING_FILE", gateway.environment["KEYRING_FILE"])

    async def do() -> None:
        engine = create_engine(f"sqlite+aiosqlite:///{gateway.database}")
        try:
            await work(Desk(engine, desk_hours()))
        finally:
            await engine.dispose()

    aside(lambda: asyncio.run(do()))


def test_the_desk_knows_the_way(gateway: Gateway, operator: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = caller(key_ring(gateway).derive("api_sender"), f"caller-{uuid4()}")
    conversation = store(gateway, [ASKED], sender)

    async def work(desk: Desk) -> None:
        await desk.request(sender, HandoffReason.ASKED, sender)
        await desk.note_misunderstood(sender, "那个啥来着", [], "m1")

    at_the_desk(gateway, monkeypatch, work)
    handoffs = operator.get("/dashboard/api/handoffs").json()["handoffs"]
    (mine,) = [each for each in handoffs if each["conversation"] == conversation]
    assert operator.get(f"/dashboard/api/handoffs/{mine['id']}").json()["handoff"]["conversation"] == conversation
    messages = operator.get("/dashboard/api/misunderstood").json()["messages"]
    (unclear,) = [each for each in messages if each["conversation"] == conversation]
    assert unclear["text"] == "那个啥来着"
    execute(
        gateway, "UPDATE misunderstood SET conversation = NULL WHERE id = ?", unclear["id"]
    )  # as before it was kept
    messages = operator.get("/dashboard/api/misunderstood").json()["messages"]
    assert next(each for each in messages if each["id"] == unclear["id"])["conversation"] is None


def customer(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, sender: str, name: str) -> str:
    """Somebody to whom the sender is bound; gives their id."""
    monkeypatch.setenv("KEYRING_FILE", gateway.environment["KEYRING_FILE"])
    customer_id, now = f"C{uuid4().hex[:8]}", datetime.now(UTC)

    async def do() -> None:
        engine = create_engine(f"sqlite+aiosqlite:///{gateway.database}")
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            phone = models.phone_index(customer_id)
            session.add(
                models.Customer(
                    id=customer_id,
                    name=name,
                    phone="1",
                    phone_index=phone,
                    address="1",
                    region="330000",
                    registered_at=now,
                )
            )
            await session.flush()
            await people.bind(session, sender, customer_id, None, now)
        await engine.dispose()

    aside(lambda: asyncio.run(do()))
    return customer_id


def test_a_conversation_says_whose_it_is(
    gateway: Gateway, operator: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"caller-{uuid4()}"
    sender = caller(key_ring(gateway).derive("api_sender"), name)
    conversation = store(gateway, [ASKED], sender)
    assert operator.get(api(conversation)).json()["speaker"] is None  # from before accounts were kept

    assert gateway.say("在吗", name).status_code == 200
    visitor: dict[str, Any] = {"channel": "api", "customer_id": None, "name": None, "roles": []}
    assert operator.get(api(conversation)).json()["speaker"] == visitor

    customer_id = customer(gateway, monkeypatch, sender, "周琳")
    known = {"channel": "api", "customer_id": customer_id, "name": "周琳", "roles": ["customer"]}
    assert operator.get(api(conversation)).json()["speaker"] == known
    stored = str(execute(gateway, "SELECT * FROM channel_account"))
    assert sender not in stored
    assert "周琳" not in stored


def test_who_is_no_operator_any_more_signs_in_again(gateway: Gateway) -> None:
    conversation, name = store(gateway, [ASKED]), f"小{uuid4().hex[:6]}"
    with sign_in(gateway, name) as leaving:
        assert leaving.get(api(conversation)).status_code == 200
        ((newest_id,),) = execute(gateway, "SELECT max(id) FROM membership")
        execute(gateway, "DELETE FROM membership WHERE id = ?", newest_id)
        for path in (api(conversation), "/dashboard/api/handoffs", "/dashboard/api/office/waiting", SIGN_IN):
            refused = leaving.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "signed_out"), path
        assert "口令" in leaving.get("/dashboard").text
    assert len(views(gateway, conversation)) == 1


def test_a_cookie_of_an_earlier_release_is_none(gateway: Gateway) -> None:
    token = Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip()
    signing = hmac.new(key_ring(gateway).derive("operator_cookie"), token.encode(), hashlib.sha256).digest()
    old = URLSafeTimedSerializer(signing, signer_kwargs={"digest_method": hashlib.sha256})
    cookie = f"{COOKIE}={old.dumps({'name': '小王', 'csrf': 'x'})}"
    response = httpx.get(gateway.url + SIGN_IN, headers={"Cookie": cookie}, trust_env=False)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "signed_out")


def newest(gateway: Gateway) -> int:
    ((handoff_id,),) = execute(gateway, "SELECT max(id) FROM handoff")
    return int(handoff_id)


# ---- as an operator sees it ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


def a_long_story() -> list[list[Event]]:
    ranking = [("request_return", 0.93), ("request_exchange", 0.04), ("report_problem", 0.02)]
    hi = [
        *START,
        user("在吗", intent={"name": "greet", "confidence": 0.99}),
        action("utter_greet"),
        bot("您好，我是掌柜。"),
    ]
    wish = [
        user(
            "ORD10001 这双鞋开胶了要退，另外我上次那个快递到哪了",
            intent={"name": "request_return", "confidence": 0.93},
            intent_ranking=[{"name": name, "confidence": confidence} for name, confidence in ranking],
            entities=[{"entity": "order_id", "value": "ORD10001"}, {"entity": "reason", "value": "quality"}],
            acts=["inform", "request"],
            worry={"score": 0.31, "label": "worry", "cues": ["开胶"]},
            topic="return_exchange",
            parts=[
                {
                    "text": "ORD10001 这双鞋开胶了要退",
                    "intent": {"name": "request_return", "confidence": 0.97},
                    "entities": [{"entity": "order_id", "value": "ORD10001"}],
                },
                {"text": "我上次那个快递到哪了", "intent": {"name": "track_parcel", "confidence": 0.88}},
            ],
        ),
        slot("order_id", "ORD10001"),
        slot("reason", "quality"),
        slot(
            "dialogue",
            {
                "turn": 2,
                "commands": [
                    ["StartFlow after_sales", "intent request_return 0.93"],
                    ["SetSlot order_id=ORD10001", "entity order_id"],
                    ["SetSlot reason=quality", "entity reason"],
                    ["StartFlow track_parcel", "part 2: intent track_parcel 0.88"],
                ],
                "stack": [{"flow": "after_sales", "intent": "request_return", "asks": {}, "asked": None}],
            },
        ),
        action("action_track_parcel", policy="DialoguePolicy", confidence=1.0),
        bot("您上次的包裹昨天 18:20 到了上海转运中心，预计明天送到。"),
        action("action_ask_confirm_return", policy="DialoguePolicy", confidence=1.0),
        bot("ORD10001 云跑缓震跑步鞋，质量问题退货，对吗？", ("对", "/affirm"), ("不对", "/deny")),
        slot("listed", [{"kind": "order", "id": f"ORD1000{number}", "title": "云跑缓震跑步鞋"} for number in range(9)]),
        slot(
            "dialogue",
            {
                "turn": 2,
                "commands": [],
                "stack": [
                    {
                        "flow": "change_address",
                        "intent": "change_address",
                        "asks": {"delivery": 1},
                        "status": "waiting",
                    },
                    {
                        "flow": "after_sales",
                        "intent": "request_return",
                        "asks": {"confirmed": 2, "order_id": 1},
                        "asked": "confirmed",
                        "asked_in": 2,
                        "status": "open",
                    },
                ],
                "lost": 0,
            },
        ),
        action("action_listen", policy="DialoguePolicy", confidence=1.0),
    ]
    unclear = [
        user(XSS, intent={"name": XSS, "confidence": 0.2}, entities=[{"entity": XSS, "value": XSS}], topic=XSS),
        slot("dialogue", {"turn": 3, "commands": [[XSS, XSS]], "stack": [{"flow": XSS, XSS: XSS}], "lost": 2}),
        slot(XSS, XSS),
        action(XSS),
        bot(XSS, (XSS, XSS), custom={"x": XSS}),
        {"event": XSS, "x": XSS},
    ]
    desk = [
        {"event": "pause"},
        bot("小王为您服务。", by="desk"),
        bot("您好，我看看。", by="operator"),
        {"event": "resume"},
    ]
    tapped = [user("/affirm"), action("action_write"), bot("退货申请已提交。"), action("action_listen")]
    tapped.append(slot("dialogue", {"turn": 4, "commands": [["Affirm", "button"]], "stack": []}))
    for minute, events in enumerate((hi, wish, unclear, desk, tapped)):
        for event in events:
            event["timestamp"] = NOON + 60 * minute
    return [hi, wish, unclear, desk, tapped]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", WIDTHS)
def test_a_conversation_in_a_browser(
    gateway: Gateway, browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, width: str
) -> None:
    sender = caller(key_ring(gateway).derive("api_sender"), f"caller-{uuid4()}")
    chatter = [[user(f"第{number}句") | {"timestamp": NOON - 9000 + number}, bot("嗯")] for number in range(120)]
    conversation = store(gateway, [*chatter, *a_long_story()], sender)

    async def work(desk: Desk) -> None:
        await desk.request(sender, HandoffReason.ASKED, sender)
        await desk.note_misunderstood(sender, "没听懂的话", [], "m1")

    at_the_desk(gateway, monkeypatch, work)
    customer_id = customer(gateway, monkeypatch, sender, "周琳")
    context = browser.new_context(viewport=WIDTHS[width], locale="zh-CN", reduced_motion="reduce")
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    context.on(
        "request",
        lambda request: (
            None if urlsplit(request.url).netloc in ("", f"127.0.0.1:{gateway.port}") else faults.append(request.url)
        ),
    )
    page = context.new_page()
    page.goto(f"{gateway.url}/dashboard/conversations/{conversation}")
    page.get_by_label("您的称呼").fill("小王")
    page.get_by_label("口令").fill(Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip())
    page.get_by_role("button", name="登录").click()

    turns = page.locator(".turn")
    expect(turns).to_have_count(100)
    expect(page.get_by_text("此前没有人看过")).to_be_visible()
    expect(page.get_by_text(f"顾客：周琳 {customer_id} · 来自 程序")).to_be_in_viewport()
    expect(turns.last).to_contain_text("退货申请已提交")  # where one begins to look
    expect(turns.last.get_by_text("［对］")).to_be_in_viewport()
    page.screenshot(path=tmp_path / "1-end.png")
    wish = turns.nth(96)
    expect(wish.locator(".taken").first).to_contain_text("request_return93%")
    expect(wish.locator(".guess").first).to_contain_text("request_exchange4%")
    expect(wish.locator(".command").first).to_have_attribute("title", "intent request_return 0.93")
    frames = wish.locator(".frame")
    expect(frames.nth(0)).to_contain_text("after_sales")
    expect(frames.nth(0).locator(".asked")).to_have_text("在问 confirmed · 第 2 次")
    expect(frames.nth(1)).to_contain_text("change_address搁置")
    wish.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "2-turn.png")
    strange = turns.nth(97)
    expect(strange.locator("img")).to_have_count(0)
    expect(strange.locator(".line.customer p")).to_have_text(XSS)
    strange.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "3-strange.png")
    assert page.title() == "掌柜 · 对话经过"

    page.get_by_role("button", name="更早").click()
    expect(turns).to_have_count(125)
    expect(page.get_by_role("button", name="更早")).to_be_hidden()
    expect(turns.first).to_contain_text("第0句")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(f"{gateway.url}/dashboard")
    page.locator(f".handoff[data-id='{newest(gateway)}']").click()
    link = page.get_by_role("link", name="对话经过")
    expect(link).to_have_attribute("href", f"/dashboard/conversations/{conversation}")
    page.screenshot(path=tmp_path / "4-desk.png")
    with context.expect_page() as opened:
        link.click()
    expect(opened.value.get_by_text("上次查看：小王")).to_be_visible()
    page.get_by_role("link", name="待训练").click()
    unclear = page.locator(".message", has_text="没听懂的话").first
    expect(unclear.get_by_role("link", name="对话经过")).to_have_attribute(
        "href", re.compile(rf"/dashboard/conversations/{conversation}#2")
    )
    page.screenshot(path=tmp_path / "5-queue.png")
    page.goto(f"{gateway.url}/dashboard/conversations/{conversation}#2026-03-11T04:01:30Z")
    expect(page.locator(".turn.found")).to_contain_text("ORD10001 这双鞋开胶了要退")
    expect(page.locator(".turn.found h2")).to_be_in_viewport()
    page.goto(f"{gateway.url}/dashboard/conversations/{'0' * 64}")
    expect(page.get_by_role("status")).to_have_text("没有这段对话。")
    assert [fault for fault in faults if "404" not in fault] == []
    context.close()
