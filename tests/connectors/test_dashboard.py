"""The operators' pages as a browser, and as somebody who should not be there, sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from connectors.dashboard.operators import COOKIE
from connectors.messages import caller
from mall_adapter import Desk
from mall_adapter.handoff import ComplaintKind, Handoff, HandoffReason
from privacy import KeyRing
from settings import desk_hours
from storage import create_engine
from tests.connectors.conftest import Gateway
from tests.connectors.fake_rasa import FakeRasa

SIGN_IN = "/dashboard/api/session"


def token(gateway: Gateway) -> str:
    return Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip()


class Operator(httpx.Client):
    csrf = ""

    def post_as_page(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.post(f"/dashboard/api/{path}", json=body or {}, headers={"X-CSRF-Token": self.csrf, **headers})


@pytest.fixture
def operator(gateway: Gateway) -> Iterator[Operator]:
    with Operator(base_url=gateway.url, trust_env=False) as client:
        assert client.post(SIGN_IN, json={"token": token(gateway), "name": "小王"}).status_code == 204
        client.csrf = client.get(SIGN_IN).json()["csrf"]
        yield client


def ask_for_a_person(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, name: str) -> Handoff:
    """What the bot does for the sender that a caller of the API is."""
    monkeypatch.setenv("KEYRING_FILE", gateway.environment["KEYRING_FILE"])
    ring = KeyRing.load(Path(gateway.environment["KEYRING_FILE"]))

    async def ask() -> Handoff:
        engine = create_engine(f"sqlite+aiosqlite:///{gateway.database}")
        try:
            sender = caller(ring.derive("api_sender"), name)
            return await Desk(engine, desk_hours()).request(sender, HandoffReason.ASKED, name)
        finally:
            await engine.dispose()

    return asyncio.run(ask())


def updates(gateway: Gateway, name: str, after: int | None = None) -> Any:
    parameters: dict[str, Any] = {"sender": name} if after is None else {"sender": name, "after": after}
    return httpx.get(f"{gateway.url}/api/chat/updates", params=parameters, trust_env=False).json()


def test_the_token_is_made_once_and_for_its_owner_only(gateway: Gateway) -> None:
    file = Path(gateway.environment["DATA_DIR"], "admin_token")
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(token(gateway)) >= 32
    assert token(gateway) not in gateway.log.read_text()


def test_without_signing_in_there_is_nothing_to_see(gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.url, trust_env=False) as stranger:
        page = stranger.get("/dashboard")
        assert page.status_code == 200
        assert "口令" in page.text
        assert "排队的顾客" not in page.text
        for method, path in (
            ("GET", "handoffs"),
            ("GET", "handoffs/1"),
            ("GET", "misunderstood"),
            ("GET", "session"),
            ("DELETE", "session"),
            ("POST", "handoffs/1/claim"),
            ("POST", "misunderstood/1/settle"),
        ):
            response = stranger.request(method, f"/dashboard/api/{path}", json={} if method == "POST" else None)
            assert (response.status_code, response.json()["error"]["code"]) == (401, "signed_out"), path


def test_a_cookie_that_was_not_signed_here_opens_nothing(gateway: Gateway, operator: Operator) -> None:
    genuine = operator.cookies[COOKIE]
    for forged in ("", "x", genuine[:-3] + "abc", genuine.partition(".")[0]):
        response = httpx.get(gateway.url + SIGN_IN, headers={"Cookie": f"{COOKIE}={forged}"}, trust_env=False)
        assert response.status_code == 401


def test_the_cookie_is_out_of_reach(gateway: Gateway) -> None:
    response = httpx.post(gateway.url + SIGN_IN, json={"token": token(gateway), "name": "小王"}, trust_env=False)
    cookie = response.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/dashboard", "max-age=43200"))
    page = httpx.get(f"{gateway.url}/dashboard", trust_env=False)
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_post_comes_from_the_page_or_not_at_all(gateway: Gateway, operator: Operator) -> None:
    path = "handoffs/4711/claim"
    for headers, code in (
        ({"X-CSRF-Token": "guess"}, "forged"),
        ({"X-CSRF-Token": ""}, "forged"),
        ({"Origin": "https://evil.example"}, "foreign_page"),
        ({"Origin": "null"}, "foreign_page"),
        ({"Sec-Fetch-Site": "cross-site"}, "foreign_page"),
        ({"Sec-Fetch-Site": "same-site"}, "foreign_page"),
    ):
        response = operator.post_as_page(path, **headers)
        assert (response.status_code, response.json()["error"]["code"]) == (403, code)
    allowed = operator.post_as_page(path, Origin=gateway.url, **{"Sec-Fetch-Site": "same-origin"})
    assert (allowed.status_code, allowed.json()["error"]["code"]) == (404, "not_found")


def test_signing_out(operator: Operator) -> None:
    assert operator.delete(SIGN_IN, headers={"X-CSRF-Token": operator.csrf}).status_code == 204
    assert operator.get(SIGN_IN).status_code == 401


def test_guessing_is_stopped(mortal_gateway: Gateway) -> None:
    with httpx.Client(base_url=mortal_gateway.url, trust_env=False) as thief:
        for _ in range(5):
            assert thief.post(SIGN_IN, json={"token": "guess", "name": "贼"}).status_code == 401
        refused = thief.post(SIGN_IN, json={"token": token(mortal_gateway), "name": "贼"})
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 601
    assert "guess" not in mortal_gateway.log.read_text()


def test_a_conversation_with_a_customer(
    gateway: Gateway, rasa: FakeRasa, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"caller-{uuid4()}"
    assert updates(gateway, name) == {"more": False, "after": None, "messages": []}
    wish = ask_for_a_person(gateway, monkeypatch, name)
    assert updates(gateway, name)["more"]
    shown = next(each for each in operator.get("/dashboard/api/handoffs").json()["handoffs"] if each["id"] == wish.id)
    assert (shown["channel"], shown["reason"], shown["status"]) == ("api", "asked", "waiting")
    assert "sender" not in shown

    early = operator.post_as_page(f"handoffs/{wish.id}/say", {"text": "你好", "message_id": "o0"})
    assert (early.status_code, early.json()["error"]["code"]) == (409, "not_claimed")
    assert operator.post_as_page(f"handoffs/{wish.id}/claim").json()["operator"] == "小王"
    rasa.answers["在吗"] = []
    receipt = gateway.say("在吗", name).json()["messages"]
    assert receipt[0]["text"]
    assert receipt[0]["custom"] == {"desk": "claimed"}
    for _ in range(2):  # the page did not hear that it had gone
        answer = {"text": "您好，我来看看", "message_id": "o1"}
        assert operator.post_as_page(f"handoffs/{wish.id}/say", answer).status_code == 200
    assert operator.post_as_page(f"handoffs/{wish.id}/hand-back", {"resolved": True}).json()["resolved"] is True

    assert [(each["event"], each["text"]) for each in rasa.events] == [
        ("pause", "小王"),
        ("said", "您好，我来看看"),
        ("resume", ""),
    ]
    news = updates(gateway, name)
    assert [message["text"] for message in news["messages"]] == ["pause 小王", "said 您好，我来看看", "resume "]
    assert (news["more"], news["after"]) == (False, 3)
    assert updates(gateway, name, after=2)["messages"] == [{"text": "resume "}]
    assert updates(gateway, f"another {name}")["messages"] == []


def test_an_answer_waits_for_a_bot_that_is_away_and_outlives_the_gateway(
    mortal_gateway: Gateway, rasa: FakeRasa, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, name = mortal_gateway, "阿花"
    wish = ask_for_a_person(gateway, monkeypatch, name)
    rasa.gate.clear()
    with Operator(base_url=gateway.url, trust_env=False, timeout=60) as operator:
        operator.post(SIGN_IN, json={"token": token(gateway), "name": "小王"})
        operator.csrf = operator.get(SIGN_IN).json()["csrf"]
        assert operator.post_as_page(f"handoffs/{wish.id}/claim").status_code == 200
        for number in (1, 2):
            answer = {"text": f"第{number}句", "message_id": f"o{number}"}
            assert operator.post_as_page(f"handoffs/{wish.id}/say", answer).status_code == 200
        assert operator.get(f"/dashboard/api/handoffs/{wish.id}").json()["unsent"] == ["第1句", "第2句"]
    gateway.kill()
    rasa.gate.set()
    gateway.start()
    for _ in range(100):
        news = updates(gateway, name)
        if len(news["messages"]) == 3:
            break
        asyncio.run(asyncio.sleep(0.1))
    assert [message["text"] for message in news["messages"]] == ["pause 小王", "said 第1句", "said 第2句"]
    assert len({each["message_id"] for each in rasa.events}) == 3


def test_bad_questions_about_updates_are_refused(gateway: Gateway) -> None:
    for query in ("after=-1", "after=x", "after=99999999999", "sender="):
        response = httpx.get(f"{gateway.url}/api/chat/updates?{query}", trust_env=False)
        assert response.status_code == 422
    assert httpx.get(f"{gateway.url}/api/chat/updates", trust_env=False).json()["more"] is False


def test_complaints_stand_there_until_they_are_dealt_with(
    gateway: Gateway, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYRING_FILE", gateway.environment["KEYRING_FILE"])
    words = f"烫到手了 {uuid4()}"

    async def complain() -> None:
        engine = create_engine(f"sqlite+aiosqlite:///{gateway.database}")
        await Desk(engine, desk_hours()).note_complaint("web:hurt", ComplaintKind.HARMED, words, str(uuid4()))
        await engine.dispose()

    def mine() -> list[dict[str, Any]]:
        return [
            each for each in operator.get("/dashboard/api/complaints").json()["complaints"] if words in each["words"]
        ]

    asyncio.run(complain())
    (complaint,) = mine()
    assert (complaint["kind"], complaint["order_id"]) == ("harmed", None)
    assert operator.post(f"/dashboard/api/complaints/{complaint['id']}/settle").status_code == 403
    assert operator.post_as_page(f"complaints/{complaint['id']}/settle").status_code == 204
    assert not mine()
    assert operator.post_as_page("complaints/99999999/settle").json()["error"]["code"] == "not_found"
