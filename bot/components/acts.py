"""What a message does, whatever it is about: says yes, refuses, waits, gives up, asks (``bot/data/acts.yml``).

Such words are few and the same in every shop, and a yes lets something be written. So they are patterns that a trainer
can read and correct, not a guess.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import dump_obj_as_json_to_file, read_json_file, read_yaml_file

from bot import patterns
from bot.components.text import normalize
from bot.patterns import expect, listed
from bot.spelling import simplified

OF_REQUEST = frozenset(
    {
        *("of_freight", "of_amount", "of_day", "of_pickup", "of_place", "of_goods", "of_need", "of_account"),
        *("of_packing", "of_advance", "of_cheaper", "of_split", "of_stock"),
    }
)
"""Ask about the request that is summed up, or was written a moment ago."""

OF_MATTER = frozenset({"of_account", "of_notice", "of_arrival", "of_year", "of_invoice", "of_price"})
"""Go on about a matter that was told or written lately: which one, a flow says (``goes_on``)."""

OF_WAITING = frozenset({"word_for_person", "of_hours", "of_call", "of_queue", "of_reading", "of_record", "stays"})
"""Of somebody who waits for a person."""

OF_NOTICES = frozenset({"unsubscribes", "subscribes", "waits_for_stock", "stop_word"})
"""About what the shop says by itself: no answer to what was asked."""

OF_OFFERS = frozenset({"takes_offer", "turns_down_offer"})
"""About what was offered to make something good, by its name."""

ACTS = frozenset(
    {
        *("yes", "yes_weak", "no", "ack", "thanks", "thanks_only", "bye", "leave", "stop", "wait", "lost", "repeat"),
        *("question", "objection", "condition", "negation", "urgent", "human", "all", "correction"),
        *("subject", "follow_up", "restates", "request", "wish", "accepts", "solved", "applied", "progress"),
        *("submit", "unqueues", "keep", "of_courier", "address", "address_part", "of_shipping", "undoes", "takes_out"),
        *("contests", "another", "prefers", "of_verdict", "as_before", "declines", "asks_ways", "tells_number"),
        *("keeps_private", "presses", "reproaches", "buys"),
        *OF_REQUEST,
        *OF_MATTER,
        *OF_WAITING,
        *OF_NOTICES,
        *OF_OFFERS,
    }
)
"""The dialogue reads them, so a file has each of them and no other."""

LONGEST_WHOLE = 40
"""Characters; nothing longer is only a yes, a thanks or a goodbye, and no pattern is to backtrack over a novel."""

_KINDS = {"whole", "part"}
_APOSTROPHE = re.compile(r"(?<=[a-z])['’`´](?=[a-z])")

_MARKED = re.compile("[\u0300-\u036f]")
"""Marks on Latin letters: "y" under two dots is a slip of the finger, and no yes."""


class Acts:
    """The patterns of a file, ready to be asked. Raises ValueError, saying where, when they are not well made."""

    def __init__(self, content: Any) -> None:
        known = {"signs", "spoken", "pieces", "acts"}
        expect(isinstance(content, dict) and set(content) == known, "signs, spoken, pieces and acts")
        expect(isinstance(content["signs"], str) and content["signs"], "signs: characters")
        self._spoken = _spoken(content["spoken"])
        forms = sorted(map(re.escape, self._spoken), key=len, reverse=True)
        self._otherwise = re.compile("|".join(forms))
        pieces = patterns.read_pieces(content["pieces"])
        expect({"before", "after"} <= set(pieces), "pieces: before and after")
        acts = content["acts"]
        expect(isinstance(acts, dict) and set(acts) == ACTS, f"acts: exactly {', '.join(sorted(ACTS))}")
        self._acts = list(acts)
        self._whole: dict[str, re.Pattern[str]] = {}
        self._part: dict[str, list[re.Pattern[str]]] = {}
        for act, told in acts.items():
            expect(isinstance(told, dict) and told and set(told) <= _KINDS, f"{act}: whole, part")
            for key, written in told.items():
                ready = [_filled(f"{act}.{key}", pattern, pieces) for pattern in listed(f"{act}.{key}", written)]
                if key == "part":
                    self._part[act] = [re.compile(pattern) for pattern in ready]
                else:
                    around = "(?:{before} ?){{0,3}}(?:{0})(?: ?{after}){{0,3}}"
                    self._whole[act] = re.compile(around.format("|".join(ready), **pieces))
        signs = re.escape(content["signs"])
        self._signs = frozenset(content["signs"])
        self._between_latin = re.compile(rf"(?<=[a-z0-9])(?:[^\w{signs}]|_)+(?=[a-z0-9])")
        self._mute = re.compile(rf"(?:[^\w {signs}]|_)+|(?<![a-z0-9]) | (?![a-z0-9])")

    def of(self, text: str) -> list[str]:
        """The acts of a message, in the order of the file; what Rasa takes for a button's payload has none."""
        if text.strip().startswith("/"):
            return []
        normal = self._otherwise.sub(lambda form: self._spoken[form.group()], normalize(text).text)
        plain = normal if _MARKED.search(normal) else self._plain(normal)
        return [
            act
            for act in self._acts
            if (act in self._whole and len(plain) <= LONGEST_WHOLE and self._whole[act].fullmatch(plain))
            or any(pattern.search(normal) for pattern in self._part.get(act, ()))
        ]

    def _plain(self, normal: str) -> str:
        """Without blanks (but those between Latin words), punctuation and emoji; emoji alone are what is said."""
        plain = self._mute.sub("", self._between_latin.sub(" ", _APOSTROPHE.sub("", normal)))
        if any(character not in self._signs for character in plain):
            return plain
        return "".join(c for c in normal if c in self._signs or unicodedata.category(c) == "So")


def _spoken(told: Any) -> dict[str, str]:
    """What stands for each form."""
    expect(isinstance(told, dict) and told, "spoken: what is meant, and the forms of it")
    found: dict[str, str] = {}
    for meant, forms in told.items():
        for form in listed(f"spoken.{meant}", forms):
            expect(found.setdefault(simplified(form), meant) == meant, f"spoken: {form} once")
    return found


def _filled(where: str, pattern: str, pieces: Mapping[str, str]) -> str:
    whole = patterns.filled(where, pattern, pieces)
    # numbered groups would be counted through all the patterns that stand beside it
    grouped = re.compile(whole).groups and not where.endswith(".part")
    expect(not grouped, f"{where}: (?:…) instead of (…) in {pattern!r}")
    return whole


def read_acts(path: Path) -> Any:
    """The content of the file; raises InvalidConfigException when it is not one."""
    content = read_yaml_file(path)
    try:
        Acts(content)
    except ValueError as error:
        raise InvalidConfigException(f"{path}: {error}") from None
    return content


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class ActFinder(GraphComponent):
    """Adds ``acts`` to what is known of a message; the actions read them as ``tracker.latest_message["acts"]``."""

    def __init__(self, content: Any, model_storage: ModelStorage, resource: Resource, file: Path) -> None:
        self._acts = Acts(content) if content else None
        self._model_storage, self._resource, self._file = model_storage, resource, file

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"file": "bot/data/acts.yml"}

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """A changed file is learned anew. Rasa asks with other nodes' configuration, too."""
        file = Path(config.get("file") or cls.get_default_config()["file"])
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> ActFinder:
        return cls(None, model_storage, resource, Path(config["file"]))

    def train(self, training_data: TrainingData) -> Resource:
        content = read_acts(self._file)
        self._acts = Acts(content)
        with self._model_storage.write_to(self._resource) as folder:
            dump_obj_as_json_to_file(folder / "acts.json", content)
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> ActFinder:
        with model_storage.read_from(resource) as folder:
            return cls(read_json_file(folder / "acts.json"), model_storage, resource, Path(config["file"]))

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            if self._acts:
                message.set("acts", self._acts.of(message.get(TEXT) or ""), add_to_output=True)
        return messages
