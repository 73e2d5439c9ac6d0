"""A mall that runs elsewhere and does not answer: what is said is true, a person is offered, and the turn ends."""

from __future__ import annotations

from typing import Any

import pytest

from bot.actions import malls
from bot.actions.coupons import MyCoupons
from bot.actions.executor import Executor
from mall_adapter import open_mall


async def test_a_mall_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setenv("MALL_URL", f"http://127.0.0.1:{unused_tcp_port}/mall")
    monkeypatch.setenv("MALL_KEY", "zg_0_0")
    tracker: dict[str, Any] = {
        "sender_id": "web:guest",
        "slots": {},
        "events": [],
        "latest_message": {},
        "paused": False,
        "followup_action": None,
        "active_loop": {},
        "latest_action_name": None,
    }
    (executor := Executor()).register_action(MyCoupons())
    async with open_mall() as mall:
        monkeypatch.setattr(malls._mall, "room", mall)
        told = await executor.run({"next_action": MyCoupons().name(), "tracker": tracker, "domain": {}})
    assert told is not None
    assert [one["response"] for one in told.responses] == ["utter_mall_unavailable"]
    assert [(one["event"], one["name"]) for one in told.events] == [("followup", "action_listen")]


@pytest.mark.parametrize(("url", "key"), [("shop.example/mall", "k"), ("https://shop.example/mall", "")])
async def test_a_setting_that_cannot_be_is_said(monkeypatch: pytest.MonkeyPatch, url: str, key: str) -> None:
    monkeypatch.setenv("MALL_URL", url)
    monkeypatch.setenv("MALL_KEY", key)
    with pytest.raises(ValueError, match="MALL_URL"):
        async with open_mall():
            pass
