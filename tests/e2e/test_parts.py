"""kill -9 of each part: the health names it, the others go on, and it comes back."""

from __future__ import annotations

import secrets
import time

import httpx
import pytest

from tests.stack import Stack

SECONDS = 120
"""For what takes a moment on a quiet machine."""


def told(stack: Stack, part: str) -> list[str]:
    """What the health says of a part; nothing while the gateway is away."""
    try:
        health = httpx.get(f"{stack.url}/healthz", timeout=SECONDS, trust_env=False).json()
    except httpx.TransportError:
        return []
    return [health["parts"].get(part, "ok"), *(each["text"] for each in health["warnings"] if each["part"] == part)]


@pytest.mark.parametrize("part", ["sync", "graph", "actions", "bot", "gateway"])
def test_a_killed_part_is_named_and_the_others_go_on(stack: Stack, part: str) -> None:
    pids, before = stack.pids(), told(stack, part)
    stack.kill(part)
    deadline = time.monotonic() + SECONDS
    while (now := told(stack, part)) == before or not now:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with httpx.Client(base_url=stack.url, timeout=SECONDS, trust_env=False) as client:
        assert client.get("/").status_code == httpx.codes.OK
        body = {"sender": secrets.token_hex(8), "text": "你好", "message_id": "m1"}
        while client.post("/api/chat", json=body).status_code != httpx.codes.OK:  # the bot is a while in coming
            assert time.monotonic() < deadline
    stack.wait_until_green()
    assert "退出过" in "".join(told(stack, part)), "it is not forgotten at once"
    assert {name for name, pid in stack.pids().items() if pids[name] != pid} == {part}
