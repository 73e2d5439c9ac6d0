"""``rasa interactive`` of Rasa 3.6.21, so that it leads a conversation as the bot does and tells it as it was led.

Each patch is made for one function as it stands in that release (see :mod:`bot.components.patches`); where one has
changed, nothing is taught at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Any

import yaml
from rasa.core.agent import Agent
from rasa.core.channels.channel import OutputChannel
from rasa.core.policies.policy import PolicyPrediction
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionReverted,
    Event,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.core.training_data.structures import Story
from rasa.shared.nlu.training_data.formats.readerwriter import TrainingDataWriter

from bot.components.dialogue.flows import Flows
from bot.components.dialogue.policy import INSTEAD_OF, FlowPolicy, spoken_to, trained, wanted_now
from bot.components.language import LanguageExtractor
from bot.components.patches import Function, Patch


def _with_the_events_of_the_policies(stock: Function) -> Function:
    """Stock runs the action that the operator chose without them, even when it is the one that was predicted: an action
    would find the slots of the message before, and its question none of what was heard."""

    @wraps(stock)
    async def execute_action(
        self: Agent,
        sender_id: str,
        action: str,
        output_channel: OutputChannel,
        policy: str | None,
        confidence: float | None,
    ) -> DialogueStateTracker | None:
        chosen = PolicyPrediction.for_action_name(self.domain, action, policy, confidence or 0.0)
        tracker = await self.processor.get_tracker(sender_id)
        chosen.events = self.processor._predict_next_with_tracker(tracker).events
        return await self.processor.execute_action(sender_id, action, output_channel, self.nlg, chosen)

    return execute_action


def _without_what_was_undone(flows: Flows, actions: Collection[str]) -> Function:
    def replace(stock: Function) -> Function:
        """Stock keeps in a story what the operator has corrected or undone. Before each action that was chosen against
        the flows the story says what they would have done: see bot/components/dialogue/policy.py."""

        @wraps(stock)
        def as_story(self: DialogueStateTracker, include_source: bool = False) -> Story:
            told: list[Event] = []
            known = DialogueStateTracker(self.sender_id, self.slots.values())
            for event in undone_left_out(self):
                if isinstance(event, ActionExecuted) and _chosen_by_the_operator(event) and spoken_to(known):
                    wanted = wanted_now(known, flows, actions)
                    if wanted != event.action_name and not event.action_name.startswith("validate_"):
                        told.append(SlotSet(INSTEAD_OF, wanted))
                known.update(event)
                if isinstance(event, UserUttered):
                    event = copy(event)
                    event.entities = _of_words(event.entities)
                told.append(event)
            return Story.from_events(told, self.sender_id)

        return as_story

    return replace


def undone_left_out(tracker: DialogueStateTracker) -> list[Event]:
    """All sessions of it: ``applied_events`` has only the last one."""
    kept: list[Event] = []
    for event in tracker.events:
        if isinstance(event, UserUtteranceReverted):
            tracker._undo_till_previous(UserUttered, kept)
            tracker._undo_till_previous(ActionExecuted, kept)
        elif isinstance(event, ActionReverted):
            tracker._undo_till_previous(ActionExecuted, kept)
        else:
            kept.append(event)
    return kept


def _chosen_by_the_operator(event: ActionExecuted) -> bool:
    """What a policy predicted and the operator agreed to bears the name of the policy."""
    return event.policy is None


def _of_words(entities: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what says in which language the whole message is."""
    return [one for one in entities if one.get("extractor") != LanguageExtractor.__name__]


def _every_mark_once(stock: Function) -> Any:
    """Stock repeats the words of an entity within another one, and stops at two that begin together."""

    @wraps(stock)
    def generate_message(message: Any) -> str:
        marked: list[dict[str, Any]] = []
        for new in sorted(_of_words(message.get("entities", [])), key=lambda one: int(one["end"] - one["start"])):
            if all(new["end"] <= old["start"] or old["end"] <= new["start"] for old in marked):
                marked.append(new)
        return str(stock({"text": message.get("text"), "entities": marked}))

    return staticmethod(generate_message)


def patches(flows: Flows, actions: Collection[str]) -> tuple[Patch, ...]:
    return (
        Patch(Agent, "execute_action", "cc4b8b17975a77bb", _with_the_events_of_the_policies),
        Patch(DialogueStateTracker, "as_story", "3a77da4af4488595", _without_what_was_undone(flows, actions)),
        Patch(TrainingDataWriter, "generate_message", "9d703a64f894e97e", _every_mark_once),
    )


def apply(bot: Path) -> None:
    """For the flows of the folder ``bot``, which is in the working folder. Once per process."""
    config = yaml.safe_load((bot / "config.yml").read_text(encoding="utf-8"))
    name = f"{FlowPolicy.__module__}.{FlowPolicy.__name__}"
    (policy,) = (one for one in config["policies"] if one["name"] == name)
    domain = Domain.load(str(bot / "domain.yml"))
    _, flows = trained(policy.get("flows") or FlowPolicy.get_default_config()["flows"], domain)
    for patch in patches(flows, frozenset(domain.action_names_or_texts)):
        if not patch.fits():
            raise SystemExit(f"{patch.owner.__name__}.{patch.name} is not the one that was patched for")
        setattr(patch.owner, patch.name, patch.replace(getattr(patch.owner, patch.name)))
