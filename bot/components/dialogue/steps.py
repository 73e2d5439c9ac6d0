"""What a flow wants next: to ask, to run an action, or nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.components.dialogue.flows import CONFIRMED, Flow
from bot.components.dialogue.state import Frame


@dataclass(frozen=True)
class Ask:
    slot: str
    action: str | None = None  # None: the one that asks for the slot


@dataclass(frozen=True)
class Run:
    action: str
    step: str | None  # None: the validation


@dataclass(frozen=True)
class Link:
    flow: str


def wanted(frame: Frame, flow: Flow, slots: Mapping[str, Any]) -> Ask | Run | Link | None:
    """None when the flow is finished."""
    if flow.validate and frame.fresh:
        return Run(flow.validate, None)
    if frame.changing and slots.get("change") is None:
        return Ask("change")
    for step in flow.steps:
        if not step.applies(slots):
            continue
        if step.kind == "collect":
            if slots.get(step.name) is None:
                return Ask(step.name)
        elif step.kind == "action":
            if step.id not in frame.done:
                return Run(step.name, step.id)
            if step.needs and (missing := slots.get("missing")):
                return Ask(missing)
        elif step.kind == "write":
            if step.id not in frame.done:
                confirmed = slots.get(CONFIRMED)
                if confirmed and confirmed == slots.get("summary"):
                    return Run(step.name, step.id)
                return Ask(CONFIRMED, step.summary)
        else:
            return Link(step.name)
        if step.ends:
            return None
    return None
