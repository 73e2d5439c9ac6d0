"""The bot's conversation store behind the fake bot: filled as the bot fills it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from privacy import KeyRing
from privacy.conversations import conversation_of, seal_events
from tests.connectors.conftest import Gateway
from tests.connectors.fake_rasa import Call


class Conversations:
    """The bot's conversation store, filled as the bot fills it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._ring = KeyRing.load(Path(gateway.environment["KEYRING_FILE"]))

    def turn(self, call: Call, messages: list[dict[str, Any]]) -> None:
        said = [
            {
                "event": "bot",
                "text": message.get("text"),
                "data": {name: message.get(name) for name in ("buttons", "image", "custom")},
                "metadata": {"utter_action": "utter_it"},
            }
            for message in messages
        ]
        heard = {"event": "user", "text": call.text, "message_id": call.message_id, "parse_data": {}}
        self._append(call.sender, [{"event": "action", "name": "action_listen"}, heard, *said])

    def heard(self, sender: str, text: str) -> None:
        """Something that the bot, which keeps silent, has no answer to."""
        self.turn(Call(sender, text, f"m {time.monotonic_ns()}"), [])

    def operator(self, sender: str, text: str) -> None:
        data = {"buttons": None, "custom": {"by": "operator"}}
        metadata = {"by": "operator", "desk_id": f"desk {time.monotonic_ns()}"}
        self._append(sender, [{"event": "bot", "text": text, "data": data, "metadata": metadata}])

    def _append(self, sender: str, events: list[dict[str, Any]]) -> None:
        with closing(sqlite3.connect(self._gateway.database)) as connection, connection:
            ends = "SELECT coalesce(max(position + length), 0) FROM conversation_event WHERE conversation = ?"
            (position,) = connection.execute(ends, [conversation_of(self._ring, sender)]).fetchone()
            row = seal_events(
                self._ring, sender, position, 0, [{"timestamp": time.time(), **event} for event in events]
            )
            connection.execute("INSERT INTO conversation_event VALUES (?, ?, ?, ?, ?)", list(vars(row).values()))
