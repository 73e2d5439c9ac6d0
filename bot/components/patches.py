"""Run-time patches of Rasa 3.6.21 and its YAML reader: four that save time, one that keeps turns whole.

Each is made for one function as it stands in that release: :func:`apply` compares the function's source with a
fingerprint and, where they differ, warns and leaves Rasa as it is. A test fails then: no update loses a patch unseen.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any

from rasa.core.actions.action import ActionExecutionRejection, RemoteAction
from rasa.core.processor import MessageProcessor
from rasa.shared.core.events import Event
from rasa.shared.core.trackers import DialogueStateTracker
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver

from bot.components.action_server import TurnAbandoned

logger = logging.getLogger(__name__)

Function = Callable[..., Any]


@dataclass(frozen=True)
class Patch:
    """``owner.name``, whose stock source has ``fingerprint``, is replaced by what ``replace`` makes of it."""

    owner: type
    name: str
    fingerprint: str
    replace: Callable[[Function], Any]

    def fits(self) -> bool:
        return fingerprint(getattr(self.owner, self.name)) == self.fingerprint


def fingerprint(function: Function) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the function's source."""
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


def _trust_the_action_server(stock: Function) -> Function:
    """The JSON schema, which stock checks anew at each call, takes most of a turn with an action. ``ActionServer`` has
    looked at the shape of the result, and what an event lacks shows when it is made, and abandons the turn."""

    @wraps(stock)
    def validate(self: RemoteAction, result: dict[str, Any]) -> bool:
        return True

    return validate


def _remember_event_types(stock: Function) -> Any:
    """Stock walks all subclasses for each event of each conversation that is read."""
    known = cache(stock)

    @wraps(stock)
    def resolve(type_name: str, default: Any = None) -> Any:
        return known(type_name, default)

    return staticmethod(resolve)


def _copy_without_replay(stock: Function) -> Function:
    """Stock copies a tracker for each action by replaying the whole conversation."""

    @wraps(stock)
    def copy_tracker(self: DialogueStateTracker) -> DialogueStateTracker:
        tracker = copy(self)
        tracker.events = self.events.copy()
        tracker.slots = {name: copy(slot) for name, slot in self.slots.items()}
        tracker.active_loop = copy(self.active_loop)
        return tracker

    return copy_tracker


def _abandon_failed_actions(stock: Function) -> Function:
    """Stock logs any error of an action, its words included, and goes on as if the action had done nothing."""

    @wraps(stock)
    async def run_action(self: MessageProcessor, action: Any, *arguments: Any, **named: Any) -> bool:
        run = action.run

        async def run_or_abandon(*arguments: Any, **named: Any) -> Any:
            try:
                return await run(*arguments, **named)
            except ActionExecutionRejection:
                raise
            except Exception as error:
                raise TurnAbandoned.because(action.name(), error) from error

        action.run = run_or_abandon  # this object runs once: each prediction makes its own
        done: bool = await stock(self, action, *arguments, **named)
        return done

    return run_action


def _read_in_linear_time(stock: Function) -> Function:
    """Stock makes the list of a first letter's patterns longer, by Rasa's one for ``${NAME}``, with each scalar that
    begins with it: the thousandth "text:" is compared a thousand times."""

    @wraps(stock)
    def resolve(self: VersionedResolver, kind: Any, value: Any, implicit: tuple[bool, bool]) -> Any:
        if kind is ScalarNode and implicit[0]:
            known = self.versioned_resolver
            for tag, pattern in (*known.get(value[:1], ()), *known.get(None, ())):
                if pattern.match(value):
                    return tag
            implicit = (False, implicit[1])
        return stock(self, kind, value, implicit)

    return resolve


READING = (Patch(VersionedResolver, "resolve", "60e6c39d0997b495", _read_in_linear_time),)
"""What every command of Rasa's wants."""

PATCHES = (
    *READING,
    Patch(RemoteAction, "_validate_action_result", "f8cdb4be68123961", _trust_the_action_server),
    Patch(Event, "resolve_by_type", "b5cf570fa7f286c7", _remember_event_types),
    Patch(DialogueStateTracker, "copy", "dfa48dca9f355ad1", _copy_without_replay),
    Patch(MessageProcessor, "_run_action", "6d383d0179ef1187", _abandon_failed_actions),
)


def apply(patches: Sequence[Patch] | None = None) -> None:
    """Applies those that fit, all of them if none are named. Once per process."""
    for patch in PATCHES if patches is None else patches:
        if patch.fits():
            setattr(patch.owner, patch.name, patch.replace(getattr(patch.owner, patch.name)))
        else:
            logger.warning("%s.%s is not the one that was patched for: left as it is", patch.owner.__name__, patch.name)
