"""Entities from word lists that trainers keep: ``bot/data/lookups/<entity>.yml``, each value with ways of writing it.

Reasons and the state of goods come in a few hundred short phrases; a list is quicker to correct than a model. A phrase
may have a gap: ``快递…骂人`` stands for both parts in this order, a few characters apart, in one sentence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from rasa.shared.utils.io import dump_obj_as_json_to_file, read_json_file, read_yaml_file

from bot import patterns as pattern_files
from bot.components.catalogue import nothing_wanted
from bot.components.text import normalize

Phrases = dict[str, dict[str, str]]
"""entity → normalised phrase → value"""

_SAID = pattern_files.load("denied", "denied", "not_wished")
DENIED = {"reason": _SAID["denied"], "ticket_kind": _SAID["not_wished"]}
"""Lists of which a phrase may be denied, by what stands right before it: "没有质量问题" gives no reason."""

TOLD_DENIED = {"reason": "reason_denied"}
"""What is denied of these lists is worth knowing: it stands as an entity of this name, which may have a list, too."""

OF_GOODS = frozenset({"category", "goods_kind"})
"""Lists of goods, which may be named only to say that they are left as they are."""

SEVERAL = frozenset({"reason", "goods_kind"})
"""Lists of which a message may hold several values: "不想要了，还开线", "鞋和锅". The longest phrase comes first."""

GAP = "…"
_WITHIN_GAP = "[^.。;!?]{0,12}?"


def read_lookups(folder: Path) -> Phrases:
    """Every list of ``folder``. A phrase that stands under two values raises InvalidConfigException with its file."""
    lookups: Phrases = {}
    for path in sorted(folder.glob("*.yml")):
        phrases: dict[str, str] = {}
        for value, spellings in read_yaml_file(path).items():
            for spelling in spellings:
                phrase = GAP.join(normalize(part).text.strip() for part in str(spelling).split(GAP))
                if phrases.setdefault(phrase, str(value)) != str(value):
                    raise InvalidConfigException(f"{path}: {spelling!r} stands under two values")
        lookups[path.stem] = phrases
    return lookups


def _pattern(phrase: str) -> str:
    """Latin words and numbers stand alone ("other" is not in "another"), Chinese ones anywhere."""
    parts = (
        rf"(?<![a-z0-9]){re.escape(one)}(?![a-z0-9])" if one.isascii() else re.escape(one) for one in phrase.split(GAP)
    )
    return _WITHIN_GAP.join(parts)


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_pattern, sorted(phrases, key=len, reverse=True))))


def _apart(finds: Iterable[tuple[re.Match[str], str]]) -> list[tuple[re.Match[str], str]]:
    """One of each value, the longest first, none of which overlaps a longer one."""
    kept: list[tuple[re.Match[str], str]] = []
    for match, value in sorted(finds, key=lambda find: len(find[0].group()), reverse=True):
        overlaps = any(match.start() < other.end() and other.start() < match.end() for other, _ in kept)
        if not overlaps and value not in {known for _, known in kept}:
            kept.append((match, value))
    return kept


def _within(name: dict[str, Any], phrase: dict[str, Any]) -> bool:
    """Whether ``name`` is a shorter one of the same kind in ``phrase``: 手机 in 手机壳."""
    shorter = name["end"] - name["start"] < phrase["end"] - phrase["start"]
    inside = phrase["start"] <= name["start"] < phrase["end"]
    return bool(shorter and inside and name["entity"] == phrase["entity"])


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class LookupEntityExtractor(GraphComponent, EntityExtractorMixin):
    """Finds the longest phrase of each list; the value is the one that the list gives, the span is the original's."""

    def __init__(self, lookups: Phrases, model_storage: ModelStorage, resource: Resource, folder: Path) -> None:
        self._folder, self._model_storage, self._resource = folder, model_storage, resource
        self._use(lookups)

    def _use(self, lookups: Phrases) -> None:
        self._lookups = lookups
        self._patterns = {
            entity: {value: _any_of(one for one, of in phrases.items() if of == value) for value in phrases.values()}
            for entity, phrases in lookups.items()
        }

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"folder": "bot/data/lookups"}

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """A changed list is read again; Rasa's cache looks at the training data alone."""
        folder = Path(config.get("folder") or cls.get_default_config()["folder"])
        content = b"\0".join(path.read_bytes() for path in sorted(folder.glob("*.yml")))
        return hashlib.sha256(content).hexdigest()

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> LookupEntityExtractor:
        return cls({}, model_storage, resource, Path(config["folder"]))

    def train(self, training_data: TrainingData) -> Resource:
        self._use(read_lookups(self._folder))
        with self._model_storage.write_to(self._resource) as directory:
            dump_obj_as_json_to_file(directory / "lookups.json", self._lookups)
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> LookupEntityExtractor:
        with model_storage.read_from(resource) as directory:
            return cls(read_json_file(directory / "lookups.json"), model_storage, resource, Path(config["folder"]))

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            normalized = normalize(message.get(TEXT))
            known: list[dict[str, Any]] = message.get(ENTITIES, [])
            found = []
            for entity, patterns in self._patterns.items():
                finds = [(m, value) for value, pattern in patterns.items() for m in pattern.finditer(normalized.text)]
                if entity in OF_GOODS:
                    finds = [find for find in finds if not nothing_wanted(normalized.text[find[0].end() :])]
                denial = DENIED.get(entity)
                denied = [find for find in finds if denial and denial.search(normalized.text[: find[0].start()])]
                said = _apart(find for find in finds if find not in denied)[: None if entity in SEVERAL else 1]
                named = [(entity, *find) for find in said]
                if entity in TOLD_DENIED:
                    named += [(TOLD_DENIED[entity], *find) for find in _apart(denied)]
                for name, longest, value in named:
                    start, end = normalized.span(*longest.span())
                    found.append({"entity": name, "start": start, "end": end, "value": value})
                    known = [one for one in known if not _within(one, found[-1])]
            message.set(ENTITIES, known + self.add_extractor_name(found), add_to_output=True)
        return messages
