"""Talks with the flows alone: real flows, real acts and values, no Rasa and no mall.

What the actions would find is told by the test: ``found`` says which slots an action sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bot.components.acts import Acts
from bot.components.dialogue import flow_files
from bot.components.dialogue.flows import Flows
from bot.components.dialogue.stack import LISTEN, decide, did, hear
from bot.components.dialogue.state import Message, Shown, State
from bot.components.entities import extract

ROOT = Path(__file__).parents[3]
DOMAIN: dict[str, Any] = yaml.safe_load((ROOT / "bot/domain.yml").read_text("utf-8"))
ACTIONS = frozenset([*DOMAIN["actions"], *DOMAIN["responses"]])

Values = dict[str, Any]


def real_flows() -> Flows:
    return flow_files.parse(flow_files.read([ROOT / "bot/data/flows"]), ACTIONS)


ACTS = Acts(yaml.safe_load((ROOT / "bot/data/acts.yml").read_text("utf-8")))


def message(text: str, intent: str, confidence: float = 0.9, number: int = 0, **more: Any) -> Message:
    entities = tuple({"entity": e.entity, "value": e.value, "start": e.start, "end": e.end} for e in extract(text))
    told = tuple({"entity": name, "value": value} for name, value in more.items())
    acts = frozenset(ACTS.of(text))
    return Message(text, intent, confidence, entities + told, acts, {intent: confidence}, f"m{number}")


class Talk:
    """One conversation. ``heard`` by a validation is taken as it is unless ``found`` says otherwise."""

    def __init__(self, flows: Flows | None = None, found: Mapping[str, Values] | None = None) -> None:
        self.flows, self.found = flows or real_flows(), dict(found or {})
        self.state, self.slots, self.turns = State(), Values(), 0
        self.shown = Shown()
        self.actions: list[str] = []

    def say(self, text: str, intent: str = "nlu_fallback", confidence: float = 0.9, **entities: Any) -> list[str]:
        """The actions of the answer."""
        return self.hear(message(text, intent, confidence, self.turns + 1, **entities))

    def hear(self, said: Message) -> list[str]:
        self.turns += 1
        self.state, changes = hear(self.state, said, self.slots, self.flows, self.shown)
        return self._answer(changes)

    def tap(self, payload: str) -> list[str]:
        self.turns += 1
        tapped = Message(payload, "", 1.0, id=f"m{self.turns}").tap(payload)
        assert tapped
        self.state, changes = hear(self.state, tapped, self.slots, self.flows, self.shown)
        return self._answer(changes)

    def _answer(self, changes: Values) -> list[str]:
        self.slots.update(changes)
        ran: list[str] = []
        while (action := decide(self.state, self.slots, self.flows, ran, ACTIONS)) != LISTEN:
            ran.append(action)
            self._run(action)
            self.state, changes = did(self.state, action, self.slots, self.flows)
            self.slots.update(changes)
            assert len(ran) < 10, f"no end: {ran}"
        self.actions = ran
        return ran

    def _run(self, action: str) -> None:
        if action.startswith("validate_"):
            self.slots.update(self.slots.get("heard") or {})
        if action.startswith("action_ask_confirm"):
            self.slots["summary"] = f"sum of {action}"
        self.slots.update(self.found.get(action, {}))

    @property
    def open(self) -> str | None:
        return self.state.open.flow if self.state.open else None
