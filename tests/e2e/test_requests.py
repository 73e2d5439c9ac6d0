"""Two requests in one message are found, and a story with one wish stays one."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.stack import Stack

LINES: dict[str, list[Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "nlu" / "requests.yml").read_text(encoding="utf-8")
)


def _understood(client: httpx.Client, text: str) -> list[str]:
    answer = client.post("/api/chat", json={"sender": secrets.token_hex(8), "text": text}).json()
    return [answer["understood"]["intent"], *answer["understood"].get("also", [])]


def _fits(line: dict[str, Any], intents: list[str]) -> bool:
    allowed = [set(names.split("|")) for names in line["requests"]]
    return len(intents) == len(allowed) and all(map(set.__contains__, allowed, intents))


def test_two_requests_are_found(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        found = {line["text"]: _understood(client, line["text"]) for line in LINES["two"]}
    missed = [(line["text"], found[line["text"]]) for line in LINES["two"] if not _fits(line, found[line["text"]])]
    assert len(missed) <= 0.15 * len(LINES["two"]), missed


def test_a_story_with_one_wish_is_one_request(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        found = {text: _understood(client, text) for text in LINES["one"]}
    split = {text: intents for text, intents in found.items() if len(intents) > 1}
    assert len(split) <= 0.02 * len(found), split
