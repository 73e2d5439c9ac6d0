"""Flows: what the bot can do, as trainers write it in ``bot/data/flows/*.yml``. Checked when they are read.

::

    flows:
      change_address:
        description: A new address, recipient or phone before an order is shipped.
        nlu_trigger:
          - intent: change_address          # set: {slot: value} says what the intent tells besides
        holds: [too_late]                   # slots that its validation fills, forgotten with the flow
        steps:
          - collect: order_id               # asked with utter_ask_order_id or action_ask_order_id until it has a value
            entities: [order_id, ordinal]   # what answers it, besides an entity of its own name
          - action: action_address_too_late
            if: too_late
            next: end
          - collect: delivery
            in_own_words: free              # or choice: a few words; or checked: whatever the validation takes
          - write: action_change_address    # only after a clear yes to the summary that is on the screen
            summary: action_ask_confirm_address

An intent begins one flow. A value that a message names may begin one in place of some intents::

        nlu_trigger:
          - intent: complain
          - { entity: complaint, value: fake, instead_of: [report_problem], unless_asked: [ask_policy] }

Without ``value`` any will do; ``unless_asked``: in place of these only where the message is no question.

``may_be``: what the messages that begin it may as well be::

        may_be: [remark, follow_up]

``small_talk``: talk, and no reason, title or wish. ``telling``: where an order is named and nothing asked, that number
alone. ``reason``: with feeling, the reason that was asked for. ``remark``: an objection to what was just said.
``follow_up``: about the request that was made, or the person who is waited for. ``thanks``: a yes to the offer of one.

A pattern ``goes_on`` about what was told or written in the last turns, by acts of such matters (bot/components/acts)::

        goes_on:
          - acts: [of_invoice]
            about: invoice                       # the kind of it in the focus
            inside: request_invoice              # while this task is open it is about that
            unless_since: [product, order]       # what it may be about instead, where that was talked of later
          - acts: [of_price]
            about: price
            by_itself: true                      # of an order that is named, too; or wanted instead of the open request

``confidence``: the least one with which its intent begins it, where a wrong beginning does more harm than none.

A flow with a ``write`` is a task, one that collects or ``needs`` something a question, any other one is talk.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.utils.io import read_yaml_file

from bot.components.acts import OF_MATTER
from bot.components.dialogue.flows import ACT, CONTROL, MAY_BE, Condition, Flow, Flows, Matter, Named, Step

_STEP_KEYS = {
    "collect": {"if", "next", "id", "entities", "in_own_words"},
    "action": {"if", "next", "id", "needs"},
    "write": {"if", "next", "id", "summary", "yes", "called"},
    "link": {"if"},
}
_FLOW_KEYS = {
    *("description", "nlu_trigger", "steps", "holds", "changeable", "undone_by", "quiet", "pattern", "serves"),
    *("soothes", "confidence", "may_be", "goes_on"),
}


def read(folders: Iterable[str | Path]) -> dict[str, Any]:
    """The content of every file, by flow. Raises InvalidConfigException with the file."""
    content: dict[str, Any] = {}
    for path in sorted(path for folder in folders for path in Path(folder).glob("*.yml")):
        found = read_yaml_file(path)
        if not isinstance(found, dict) or not isinstance(found.get("flows"), dict):
            raise InvalidConfigException(f"{path}: it has no flows")
        for name, flow in found["flows"].items():
            if name in content:
                raise InvalidConfigException(f"{path}: the flow {name} stands in two files")
            content[name] = flow
    return content


def parse(content: Mapping[str, Any], actions: Collection[str]) -> Flows:
    """``actions`` are those of the domain. Raises InvalidConfigException with flow and step."""
    flows = Flows()
    for name, raw in content.items():
        try:
            flows[name] = _flow(name, raw, actions)
        except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
            raise InvalidConfigException(f"flow {name}: {error}") from error
    return flows


def _flow(name: str, raw: Mapping[str, Any], actions: Collection[str]) -> Flow:
    if unknown := set(raw) - _FLOW_KEYS:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    if not raw.get("description"):
        raise ValueError("it has no description")
    if not raw.get("steps"):
        raise ValueError("it has no steps")
    steps = tuple(_step(number, step) for number, step in enumerate(raw["steps"], 1))
    if len({step.id for step in steps}) < len(steps):
        raise ValueError("two steps have one id")
    listed = raw.get("nlu_trigger") or []
    listed = [{"entity": ACT, "value": one["act"], **_without_act(one)} if "act" in one else one for one in listed]
    triggers = {trigger["intent"]: dict(trigger.get("set") or {}) for trigger in listed if "entity" not in trigger}
    named = tuple(_named(trigger) for trigger in listed if "entity" in trigger)
    if named and not triggers:
        raise ValueError("an entity begins it, and no intent")
    own = {*(raw.get("holds") or ()), *(slot for told in triggers.values() for slot in told)}
    own |= {name for s in steps for name in ((s.name,) if s.kind == "collect" else s.needs)}
    asks = any(step.kind in ("collect", "write") or step.needs for step in steps)
    return Flow(
        name,
        raw["description"],
        triggers,
        steps,
        named,
        tuple(raw.get("holds") or ()),
        tuple(raw.get("changeable") or ()),
        raw.get("undone_by"),
        bool(raw.get("quiet")),
        bool(raw.get("serves")),
        bool(raw.get("soothes")),
        bool(raw.get("pattern")),
        f"validate_{name}" if f"validate_{name}" in actions else None,
        frozenset({*own, *(CONTROL if asks else ())}),
        _probability(raw.get("confidence", 0.0)),
        _some_of(raw.get("may_be", []), MAY_BE),
        tuple(_matter(one) for one in raw.get("goes_on") or ()),
    )


def _probability(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{value!r} is no confidence from 0 to 1")
    return float(value)


def _without_act(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key != "act"}


def _named(raw: Mapping[str, Any]) -> Named:
    if unknown := set(raw) - {"entity", "value", "instead_of", "unless_asked"}:
        raise ValueError(f"the trigger {raw['entity']} has unknown keys {sorted(unknown)}")
    intents = (frozenset(raw.get(key) or ()) for key in ("instead_of", "unless_asked"))
    return Named(raw["entity"], raw.get("value"), *intents)


def _matter(raw: Mapping[str, Any]) -> Matter:
    if unknown := set(raw) - {"acts", "about", "inside", "unless_since", "by_itself"}:
        raise ValueError(f"goes_on has unknown keys {sorted(unknown)}")
    acts, since = _some_of(raw["acts"], OF_MATTER), frozenset(raw.get("unless_since") or ())
    return Matter(acts, raw["about"], raw.get("inside"), since, bool(raw.get("by_itself")))


def _step(number: int, raw: Mapping[str, Any]) -> Step:
    kind = next((kind for kind in _STEP_KEYS if kind in raw), None)
    if kind is None:
        raise ValueError(f"step {number} is none of {', '.join(_STEP_KEYS)}")
    if unknown := set(raw) - _STEP_KEYS[kind] - {kind}:
        raise ValueError(f"step {number} ({raw[kind]}) has unknown keys {sorted(unknown)}")
    if raw.get("next", "end") != "end":
        raise ValueError(f"step {number}: only 'end' may come next")
    conditions = raw.get("if") or []
    yes, called = raw.get("yes") or [], raw.get("called") or []
    for key, words in (("yes", yes), ("called", called)):
        if not isinstance(words, list):  # a string would be taken for its letters, each of them a yes
            raise ValueError(f"step {number} ({raw[kind]}): {key} must be a list")
    if kind == "write" and not raw.get("summary"):
        raise ValueError(f"step {number} ({raw[kind]}) writes without a summary")
    return Step(
        kind,  # type: ignore[arg-type]
        raw[kind],
        raw.get("id") or raw[kind],
        tuple(Condition.parse(text) for text in ([conditions] if isinstance(conditions, str) else conditions)),
        "next" in raw,
        tuple(raw.get("entities") or ()),
        _one_of(raw.get("in_own_words", ""), ("", "free", "choice", "checked")),  # type: ignore[arg-type]
        tuple(raw.get("needs") or ()),
        raw["summary"] if kind == "write" else "",
        re.compile("|".join(yes)) if yes else None,
        tuple(called),
    )


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(filter(None, allowed))}")
    return str(value)


def _some_of(value: Any, allowed: frozenset[str]) -> frozenset[str]:
    if not isinstance(value, list) or not set(value) <= allowed:
        raise ValueError(f"{value!r} is no list of {', '.join(sorted(allowed))}")
    return frozenset(value)


def check(flows: Flows, actions: Collection[str], slots: Collection[str], intents: Collection[str]) -> None:
    """Raises InvalidConfigException for what a flow names and the domain does not know."""
    for flow in flows.values():
        problems = [f"no slot {name} in the domain" for name in sorted(flow.slots - set(slots))]
        begun_by = {*flow.triggers, *(name for one in flow.named for name in one.instead_of | one.unless_asked)}
        problems += [f"no intent {name} in the domain" for name in sorted(begun_by) if name not in intents]
        for name in flow.triggers:
            others = [other.name for other in flows.values() if other is not flow and name in other.triggers]
            problems += [f"the intent {name} begins {other}, too" for other in others]
        for step in flow.steps:
            if step.kind == "link" and step.name not in flows:
                problems.append(f"no flow {step.name} to link to")
            wanted = {"action": (step.name,), "write": (step.name, step.summary)}.get(step.kind, ())
            problems += [f"no action {name} in the domain" for name in wanted if name not in actions]
            asked = (step.name,) if step.kind == "collect" else step.needs
            problems += [
                f"nothing asks for {slot}: neither utter_ask_{slot} nor action_ask_{slot} is in the domain"
                for slot in asked
                if not ({f"utter_ask_{slot}", f"action_ask_{slot}"} & set(actions))
            ]
            problems += [f"no slot {c.slot} in the domain" for c in step.conditions if c.slot not in slots]
        if flow.undone_by and flow.undone_by not in flows:
            problems.append(f"no flow {flow.undone_by} to undo it")
        problems += [f"no flow {one.inside} to be inside" for one in flow.goes_on if one.inside not in (None, *flows)]
        if flow.kind == "task" and not flow.validate:
            problems.append(f"a flow that writes needs an action validate_{flow.name}")
        if problems:
            raise InvalidConfigException(f"flow {flow.name}: {problems[0]}")
