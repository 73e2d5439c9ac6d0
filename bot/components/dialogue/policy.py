"""Rasa's side of the dialogue: a policy that follows the flows, and one that knows where a story deviates from them.

Both keep nothing of a conversation on themselves: one object serves all of them. The state is folded from the events
since it was last written into the slot ``dialogue``; that slot and the others are only mirrors, set with each
prediction whichever policy wins it.

A story is recalled where the same intents and actions came before (as far back as ``max_history`` actions) and the
flows would do what they would have done in the story. The latter is what keeps a story where it belongs: after the same
words the flows do one thing for a customer whose order is known and another one for a customer whose order cannot be
returned, and a story told of the first says nothing about the second.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rasa.core.featurizers.tracker_featurizers import TrackerFeaturizer
from rasa.core.policies.memoization import AugmentedMemoizationPolicy
from rasa.core.policies.policy import Policy, PolicyPrediction, SupportedData, confidence_scores_for
from rasa.engine.graph import ExecutionContext
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.core.constants import ACTION_LISTEN_NAME, ACTION_SESSION_START_NAME
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ConversationPaused,
    ConversationResumed,
    Event,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.utils.io import dump_obj_as_json_to_file, read_json_file

from bot.components.dialogue import flow_files
from bot.components.dialogue.flows import CONFIRMED, Condition, Flows, question
from bot.components.dialogue.stack import Values, attempt, decide, did, hear
from bot.components.dialogue.state import PARKED, Message, State, check_offer, shown

MIRROR = "dialogue"
INSTEAD_OF = "instead_of"
"""Slot of stories alone: what the flows would have done, before the action that an operator taught."""

_SILENT = frozenset({ACTION_LISTEN_NAME, ACTION_SESSION_START_NAME})
_FILE = "flows.json"


def fold(tracker: DialogueStateTracker, flows: Flows) -> tuple[State, Values, list[str]]:
    """The state now, the slots that must change with it, and the actions since the customer's last message."""
    events: Sequence[Event] = tracker.applied_events()
    start = next((at for at in range(len(events) - 1, -1, -1) if _mirrors(events[at])), -1)
    state = State.load(events[start].value) if start >= 0 else State()
    state.stack = [frame for frame in state.stack if frame.flow in flows]  # an older model may have had others
    slots, changes = {slot.name: slot.initial_value for slot in tracker.slots.values()}, Values()
    slots.update(_set(events[: start + 1]))
    slots.update(_set_next(events, start + 1))
    ran, paused = _ran_before(events[: max(start, 0)]), False
    for at in range(start + 1, len(events)):
        event, after = events[at], _set_next(events, at + 1)
        if isinstance(event, UserUttered) and paused:
            continue  # that was said to the person
        if isinstance(event, UserUttered):
            parse = {**(event.parse_data or {}), "text": event.text or ""}
            message = Message.of(parse, event.message_id or "")
            spent = {CONFIRMED: None} if slots.get(CONFIRMED) else {}  # a yes is good for one turn: that of its message
            state, new = hear(state, message, {**slots, **spent}, flows, shown(events[:at]))
            new, ran = {**spent, **new}, []
            slots.update({**new, **after})
        elif isinstance(event, ConversationPaused):  # a person takes over: what was open is theirs
            for frame in state.stack:
                frame.status = PARKED
            paused = True
            continue
        elif isinstance(event, ConversationResumed):
            paused = False
            continue
        elif isinstance(event, (ActionExecuted, ActionExecutionRejected)) and event.action_name not in _SILENT:
            ran.append(event.action_name)
            slots.update(after)
            state, new = did(state, event.action_name, slots, flows)
            slots.update(new)
            after = {name: value for name, value in after.items() if name not in new}
        else:
            continue
        changes.update(new)
        for name in after:
            changes.pop(name, None)
    return state, changes, ran


def _mirrors(event: Event) -> bool:
    return isinstance(event, SlotSet) and event.key == MIRROR


def _set(events: Iterable[Event]) -> Values:
    return {event.key: event.value for event in events if isinstance(event, SlotSet)}


def _set_next(events: Sequence[Event], start: int) -> Values:
    """The slots set from ``start`` on before anything else is said or done: by the action that ran."""
    facts = (UserUttered, ActionExecuted, ActionExecutionRejected)
    end = next((at for at in range(start, len(events)) if isinstance(events[at], facts)), len(events))
    return _set(events[start:end])


def _ran_before(events: Sequence[Event]) -> list[str]:
    found: list[str] = []
    for event in reversed(events):
        if isinstance(event, UserUttered):
            break
        if isinstance(event, (ActionExecuted, ActionExecutionRejected)) and event.action_name not in _SILENT:
            found.insert(0, event.action_name)
    return found


def wanted_now(tracker: DialogueStateTracker, flows: Flows, actions: Collection[str]) -> str:
    """The action that the flows want next, whatever a story says."""
    state, changes, ran = fold(tracker, flows)
    return decide(state, {**tracker.current_slot_values(), **changes}, flows, ran, actions)


def spoken_to(tracker: DialogueStateTracker) -> bool:
    """Whether there is a message to answer."""
    return tracker.latest_message is not None and bool(tracker.latest_message.intent)


class _Flows:
    """What the two policies share: where the flows come from, and how they reach the model."""

    @staticmethod
    def supported_data() -> SupportedData:
        return SupportedData.ML_AND_RULE_DATA

    @classmethod
    def fingerprint_addon(cls, config: Mapping[str, Any]) -> str | None:
        """A changed flow trains the policies anew. On cached runs Rasa hands over another node's config."""
        content = flow_files.read(config.get("flows") or ())
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def trained(folders: Sequence[str], domain: Domain) -> tuple[dict[str, Any], Flows]:
    """The content of the files and the flows. Raises InvalidConfigException for one that the domain cannot serve."""
    content, actions = flow_files.read(folders), set(domain.action_names_or_texts)
    flows = flow_files.parse(content, actions)
    flow_files.check(flows, actions, {slot.name for slot in domain.slots}, set(domain.intents))
    begun = {intent for flow in flows.values() for intent in flow.triggers}
    for name, variants in domain.responses.items():
        for variant in variants:
            for way in ("offers", "declines"):
                if offered := (variant.get("metadata") or {}).get(way):
                    check_offer(offered, begun, name)
    return content, flows


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.POLICY_WITHOUT_END_TO_END_SUPPORT, is_trainable=True)
class FlowPolicy(_Flows, Policy):
    """Predicts what the flows want next."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"priority": 2, "flows": ["bot/data/flows"]}

    def __init__(
        self,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        featurizer: TrackerFeaturizer | None = None,
        flows: Flows | None = None,
        actions: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(config, model_storage, resource, execution_context, featurizer)
        self.flows, self.actions = flows or Flows(), actions

    def train(self, training_trackers: list[Any], domain: Domain, **kwargs: Any) -> Resource:
        content, self.flows = trained(self.config["flows"], domain)
        self.actions = frozenset(domain.action_names_or_texts)
        with self._model_storage.write_to(self._resource) as folder:
            dump_obj_as_json_to_file(folder / _FILE, {"flows": content, "actions": sorted(self.actions)})
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> FlowPolicy:
        with model_storage.read_from(resource) as folder:
            stored = read_json_file(folder / _FILE)
        actions = frozenset(stored["actions"])
        flows = flow_files.parse(stored["flows"], actions)
        return cls(config, model_storage, resource, execution_context, flows=flows, actions=actions)

    def predict_action_probabilities(
        self,
        tracker: DialogueStateTracker,
        domain: Domain,
        rule_only_data: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> PolicyPrediction:
        if not spoken_to(tracker):
            return self._prediction(self._default_predictions(domain))
        state, changes, ran = fold(tracker, self.flows)
        slots = {**tracker.current_slot_values(), **changes}
        action = decide(state, slots, self.flows, ran, self.actions)
        mirror = {**state.dump(), "attempt": attempt(state, slots, self.flows)}
        events: list[Event] = [SlotSet(name, v) for name, v in changes.items() if tracker.get_slot(name) != v]
        if events or tracker.get_slot(MIRROR) != mirror:
            events.append(SlotSet(MIRROR, mirror))  # the last: what is set after it was set by an action
        # mandatory, not optional: the state follows from the facts, whoever chose the next action
        return self._prediction(confidence_scores_for(action, 1.0, domain), events=events)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.POLICY_WITHOUT_END_TO_END_SUPPORT, is_trainable=True)
class StoryPolicy(_Flows, AugmentedMemoizationPolicy):
    """Recalls what an operator taught, and only where it differs from what the flows do anyway.

    Every step of a story at which the flows would have done the same is kept from Rasa's own policy; so other
    conversations stay as they were. Validations come first, whatever a story says: they are no part of it.
    """

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        own = {"priority": 9, "max_history": 8, "flows": ["bot/data/flows"]}
        return {**AugmentedMemoizationPolicy.get_default_config(), **own}

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.flows, self.actions = Flows(), frozenset[str]()
        self.instead_of: frozenset[str] = frozenset()  # what the flows would have done where stories deviate
        self._content: dict[str, Any] = {}

    def train(self, training_trackers: list[Any], domain: Domain, **kwargs: Any) -> Resource:
        self._content, self.flows = trained(self.config["flows"], domain)
        self.actions = frozenset(domain.action_names_or_texts)
        told = [one for one in training_trackers if not one.is_rule_tracker and not getattr(one, "is_augmented", False)]
        learned = [one for story in told for one in deviations(story, domain, self.flows, self.actions)]
        self.instead_of = frozenset(one.wanted for one in learned)
        resource: Resource = super().train([one.tracker(domain) for one in learned], domain, **kwargs)
        return resource

    def _create_lookup_from_states(
        self, trackers_as_states: list[list[Any]], trackers_as_actions: list[list[str]]
    ) -> dict[str, str]:
        """Stock forgets, without a word, what two stories tell differently."""
        lookup: dict[str, str] = super()._create_lookup_from_states(trackers_as_states, trackers_as_actions)
        for states, (action,) in zip(trackers_as_states, trackers_as_actions, strict=True):
            if lookup.get(self._create_feature_key(states)) != action:
                steps = [state[part][name] for state in states for part, name in _NAMES if name in state.get(part, {})]
                raise InvalidConfigException(
                    f"Stories contradict each other: one wants {action}, another one something else, "
                    f"instead of {steps[-1]} after {', '.join(dict.fromkeys(steps[:-1]))}"
                )
        return lookup

    def _metadata(self) -> dict[str, Any]:
        own = {"flows": self._content, "actions": sorted(self.actions), "instead_of": sorted(self.instead_of)}
        return {**super()._metadata(), **own}

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> StoryPolicy:
        policy: StoryPolicy = super().load(config, model_storage, resource, execution_context, **kwargs)
        with model_storage.read_from(resource) as folder:
            stored = read_json_file(folder / cls._metadata_filename())
        policy.actions, policy.instead_of = frozenset(stored["actions"]), frozenset(stored["instead_of"])
        policy.flows = flow_files.parse(stored["flows"], policy.actions)
        return policy

    def predict_action_probabilities(
        self,
        tracker: DialogueStateTracker,
        domain: Domain,
        rule_only_data: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> PolicyPrediction:
        wanted = wanted_now(tracker, self.flows, self.actions) if self.lookup and spoken_to(tracker) else ""
        if wanted not in self.instead_of:
            return self._prediction(self._default_predictions(domain))
        here = Deviation(tracker.sender_id, _recent(tracker, int(self.config["max_history"])), wanted).tracker(domain)
        prediction: PolicyPrediction = super().predict_action_probabilities(here, domain, rule_only_data, **kwargs)
        return prediction


_NAMES = (("user", "intent"), ("prev_action", "action_name"))


@dataclass(frozen=True)
class Deviation:
    """A point of a conversation at which ``action`` runs, or may run, though the flows want ``wanted``."""

    story: str
    past: Sequence[Event]
    wanted: str
    action: str | None = None

    def tracker(self, domain: Domain) -> DialogueStateTracker:
        """What Rasa's policy learns from and recalls: as if ``wanted`` had run, which makes it a part of the past. Only
        ``action`` can be learned."""
        slots = {slot.name: slot for slot in domain.slots if slot.has_features() and slot.name != INSTEAD_OF}
        tracker = DialogueStateTracker(self.story, slots.values())
        for event in self.past:
            if isinstance(event, SlotSet) and event.key not in slots:
                continue  # it weighs nothing; most are mirrors
            if isinstance(event, ActionExecuted):
                event = copy.copy(event)
                event.unpredictable = True
            tracker.update(event)
        tracker.update(_unpredictable(self.wanted))
        if self.action:
            tracker.update(ActionExecuted(self.action))
        return tracker


def _unpredictable(action: str) -> ActionExecuted:
    event = ActionExecuted(action)
    event.unpredictable = True
    return event


def _recent(tracker: DialogueStateTracker, actions: int) -> list[Event]:
    """Events of the last turns, as a story tells them: what is recalled looks no further back."""
    found: list[Event] = []
    for event in reversed(tracker.applied_events()):
        if isinstance(event, ActionExecuted):
            if _validates(event.action_name):
                continue
            actions -= 1
        found.append(event)
        if actions < 0 and isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME:
            break
    return found[::-1]


def _validates(action: str | None) -> bool:
    return (action or "").startswith("validate_")


def deviations(story: DialogueStateTracker, domain: Domain, flows: Flows, actions: Collection[str]) -> list[Deviation]:
    """Where the story does what the flows would not have done.

    ``rasa interactive`` knows, and has written ``instead_of`` before each action that the operator corrected; of such a
    story nothing else can be learned. In one without it, what the flows would do is found by following it.
    """
    events = story.applied_events()
    marked = any(isinstance(event, SlotSet) and event.key == INSTEAD_OF for event in events)
    followed, past, found = _Followed(domain, flows, actions), list[Event](), list[Deviation]()
    wanted: str | None = None
    for event in events:
        if isinstance(event, SlotSet) and event.key == INSTEAD_OF:
            wanted = str(event.value)
            continue
        if isinstance(event, ActionExecuted) and spoken_to(followed.tracker):
            if _validates(event.action_name):
                continue
            if not marked:
                wanted = followed.wanted(event.action_name)
            if wanted not in (None, event.action_name) and not _validates(wanted):
                found.append(Deviation(story.sender_id, tuple(past), wanted, event.action_name))
            wanted = None
        followed.add(event)
        past.append(event)
    return found


class _Followed:
    """A story, step by step, beside the flows.

    It tells neither validations nor what they or an action found: the former are taken to have gone well, and of the
    latter whatever makes the flows do as they are told.
    """

    def __init__(self, domain: Domain, flows: Flows, actions: Collection[str]) -> None:
        self.tracker = DialogueStateTracker("", domain.slots)
        self.flows, self.actions = flows, actions
        self.summaries = {step.summary for flow in flows.values() for step in flow.steps if step.summary}

    def add(self, event: Event) -> None:
        self.tracker.update(event)
        if isinstance(event, ActionExecuted) and event.action_name in self.summaries:
            self.tracker.update(SlotSet("summary", "told"))

    def wanted(self, action: str) -> str:
        """What the flows would do where the story does ``action``."""
        chosen, heard = self._choose(self.tracker)
        while _validates(chosen):
            self._find(self.tracker, heard, ActionExecuted(chosen))
            chosen, heard = self._choose(self.tracker)
        if chosen == action:
            return action
        for facts in self._told_by(action):
            assumed = self.tracker.copy()
            self._find(assumed, facts)
            if self._choose(assumed)[0] == action:
                self.tracker = assumed
                return action
        return chosen

    def _choose(self, tracker: DialogueStateTracker) -> tuple[str, Values]:
        state, changes, ran = fold(tracker, self.flows)
        slots = {**tracker.current_slot_values(), **changes}
        return decide(state, slots, self.flows, ran, self.actions), changes.get("heard") or {}

    @staticmethod
    def _find(tracker: DialogueStateTracker, facts: Mapping[str, Any], *done: Event) -> None:
        for event in (*done, *(SlotSet(name, value) for name, value in facts.items())):
            tracker.update(event)

    def _told_by(self, action: str) -> Iterator[Values]:
        """What must have been found where a flow comes to ``action``."""
        for flow in self.flows.values():
            for step in flow.steps:
                yield from ({"missing": slot} for slot in step.needs if action in self._questions(slot))
                if action in (step.name, step.summary) or (
                    step.kind == "collect" and action in self._questions(step.name)
                ):
                    yield {one.slot: _meeting(one) for one in step.conditions if one.slot not in flow.asked_for}

    def _questions(self, slot: str) -> set[str]:
        return {question(slot, self.actions, time) for time in (1, 2, 3)}


def _meeting(condition: Condition) -> Any:
    if condition.negated or condition.how is None:
        return None if condition.negated else True
    return [condition.value] if condition.how == "has" else condition.value
