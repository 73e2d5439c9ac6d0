"""Products, brands and categories of the mall in what customers write, with one wrong character forgiven.

The names come from ``DATA_DIR/lookups/catalogue.json``, which the mall writes anew when its catalogue changes; the file
is read again while the bot runs. Without the file nothing is found.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.constants import ENTITIES, TEXT
from rasa.shared.nlu.training_data.message import Message

import settings
from bot import patterns
from bot.components.entities import Entity
from bot.components.text import Normalized, normalize
from bot.spelling import simplified

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the file's date is looked at, at most."""

FORGIVING_FROM = 4
"""Names of so many characters are found with a slip too."""

ANCHORED_BY_AT_MOST = 300
"""An end that more names share (跑鞋 in a mall of a hundred thousand) is no sign of any of them."""

_SAID = patterns.load("catalogue", "tells_apart", "no_goods", "kept")
_LETTERS = re.compile("[a-z]{5,}")
_BETWEEN = frozenset(" -_–—·・.'\"“”()[]《》【】")


@dataclass(frozen=True)
class _Find:
    start: int
    end: int
    form: str
    slipped: bool


def _slip(form: str, written: str) -> int:
    """How many characters of ``written`` are ``form`` with exactly one wrong, missing, extra or swapped; 0 if none are.

    The beginning of ``written`` belongs to the form, its end may be longer."""
    size = len(form)
    at = 0
    while at < size and at < len(written) and form[at] == written[at]:
        at += 1
    if at == size:
        return 0
    rest = form[at + 1 :]
    if len(written) >= size and written[at + 1 : size] == rest:
        return size
    if written[at : at + 2] == form[at : at + 2][::-1] and written[at + 2 : size] == form[at + 2 :] and at + 1 < size:
        return size
    if written[at + 1 : size + 1] == form[at:]:
        return size + 1
    if size > FORGIVING_FROM and written[at : size - 1] == rest:
        return size - 1
    return 0


def _pardonable(form: str, written: str) -> bool:
    """Could somebody have meant ``form``? Other digits, other letters of a model and other sizes are other goods."""
    head = 0
    while head < min(len(form), len(written)) and form[head] == written[head]:
        head += 1
    tail = 0
    while tail < min(len(form), len(written)) - head and form[-1 - tail] == written[-1 - tail]:
        tail += 1
    meant, wrong = form[head : len(form) - tail], written[head : len(written) - tail]
    told, heard = (set(_SAID["tells_apart"].findall(part)) for part in (meant, wrong))
    if told and heard and told != heard:
        return False
    if any(character.isdecimal() for character in meant + wrong):
        return False
    if not (meant + wrong).isascii():
        return not any(character.isascii() for character in meant + wrong)
    return any(word.start() <= head <= word.end() for word in _LETTERS.finditer(form))


class _Ends:
    """Names by how they begin. Whoever errs once has the beginning right, or the end: the same of reversed names."""

    def __init__(self, forms: list[str]) -> None:
        found: dict[str, list[str]] = defaultdict(list)
        for form in forms:
            found[form[: min(4, max(2, (len(form) - 2) // 2))]].append(form)
        self._forms = {end: forms for end, forms in found.items() if len(forms) <= ANCHORED_BY_AT_MOST}
        self._sizes = sorted({len(end) for end in self._forms})

    def finds(self, text: str) -> Iterator[tuple[int, int, str]]:
        """``(start, end, form)``"""
        for start in range(len(text) - 1):
            for size in self._sizes:
                for form in self._forms.get(text[start : start + size], ()):
                    if length := _slip(form, text[start : start + len(form) + 1]):
                        yield start, start + length, form


def nothing_wanted(behind: str) -> bool:
    """Whether what stands behind goods says that they are left as they are: "扫地机留着"."""
    return bool(_SAID["kept"].search(behind))


class Names:
    """What the file says, ready to be looked up."""

    def __init__(self, content: dict[str, list[dict[str, Any]]]) -> None:
        self.values: dict[str, tuple[str, str]] = {}
        forgiving: list[str] = []
        for entity, entries in content.items():
            # The conversion of one long text takes a tenth of the time of many short ones
            forms = simplified("\n".join(form for entry in entries for form in chain(entry["names"], entry["short"])))
            rest = iter(forms.split("\n"))
            for entry in entries:
                for number in range(len(entry["names"]) + len(entry["short"])):
                    form = next(rest)
                    self.values.setdefault(form, (entity, entry["value"]))
                    if number < len(entry["names"]) and len(form) >= FORGIVING_FROM:
                        forgiving.append(form)
        lengths: dict[str, set[int]] = defaultdict(set)
        for form in self.values:
            lengths[form[:2]].add(len(form))
        self._lengths = {pair: sorted(sizes, reverse=True) for pair, sizes in lengths.items()}
        self._heads = _Ends(forgiving)
        self._tails = _Ends([form[::-1] for form in forgiving])

    def find(self, text: str) -> list[Entity]:
        """The longest names in ``text`` that do not overlap, in the order in which they stand."""
        normalized = normalize(text)
        letters, places = _letters(normalized)
        if len(letters) < 2:
            return []
        finds = [find for find in self._all(letters) if _stands_alone(find, letters, places)]
        # the longest of the form that is written without a slip wins; of equals the first
        finds.sort(key=lambda find: (find.slipped - len(find.form), find.start))
        taken = [False] * len(letters)
        kept = []
        for find in finds:
            if not any(taken[find.start : find.end]):
                taken[find.start : find.end] = [True] * (find.end - find.start)
                kept.append(find)
        entities = []
        for find in sorted(kept, key=lambda find: find.start):
            if nothing_wanted(normalized.text[places[find.end - 1] + 1 :]):
                continue
            entity, value = self.values[find.form]
            start, end = normalized.span(places[find.start], places[find.end - 1] + 1)
            entities.append(Entity(entity, start, end, value))
        return entities

    def _all(self, letters: str) -> Iterator[_Find]:
        for start in range(len(letters) - 1):
            for length in self._lengths.get(letters[start : start + 2], ()):
                if (form := letters[start : start + length]) in self.values:
                    yield _Find(start, start + len(form), form, False)
        for start, end, form in self._heads.finds(letters):
            if _pardonable(form, letters[start:end]):
                yield _Find(start, end, form, True)
        for start, end, reversed_form in self._tails.finds(letters[::-1]):
            form, start, end = reversed_form[::-1], len(letters) - end, len(letters) - start
            if _pardonable(form, letters[start:end]):
                yield _Find(start, end, form, True)


def _letters(normalized: Normalized) -> tuple[str, list[int]]:
    """Letters and digits of the text and their places in it; punctuation that ends a thought is a line break."""
    text = _SAID["no_goods"].sub(lambda match: "\n" * len(match.group()), normalized.text)
    places = [place for place, character in enumerate(text) if character not in _BETWEEN]
    return "".join(text[place] if text[place].isalnum() else "\n" for place in places), places


def _stands_alone(find: _Find, letters: str, places: list[int]) -> bool:
    """``c9`` is not in ``abc9``, nor ``疾风3`` in ``疾风30``."""

    def joined(left: int) -> bool:
        one, other = letters[left], letters[left + 1]
        if not (one.isascii() and other.isascii() and one.isalnum() and other.isalnum()):
            return False
        return places[left] + 1 == places[left + 1]

    return not ((find.start > 0 and joined(find.start - 1)) or (find.end < len(letters) and joined(find.end - 1)))


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=False)
class CatalogueEntityExtractor(GraphComponent, EntityExtractorMixin):
    """Adds ``product``, ``brand`` and ``category``; the value is the mall's own name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = Names({})
        self._read_as_of = self._date()
        self._look_at = time.monotonic() + LOOK_SECONDS
        self._read()

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> CatalogueEntityExtractor:
        return cls(settings.catalogue_file())

    def _date(self) -> tuple[int, int] | None:
        """Of the file: when it was written, and its inode, which differs for two files of one instant."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _read(self) -> None:
        try:
            self._names = Names(json.loads(self._path.read_text("utf-8")))
        except FileNotFoundError:
            self._names = Names({})
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            logger.error("%s cannot be read, the names stay as they are: %s", self._path.name, type(error).__name__)

    def _look(self) -> None:
        """Reads a new file beside the conversations: a large one takes seconds."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_SECONDS
        if (date := self._date()) != self._read_as_of:
            self._read_as_of = date
            Thread(target=self._read, daemon=True).start()

    def process(self, messages: list[Message]) -> list[Message]:
        self._look()
        for message in messages:
            found = self.add_extractor_name([vars(entity).copy() for entity in self._names.find(message.get(TEXT))])
            message.set(ENTITIES, message.get(ENTITIES, []) + found, add_to_output=True)
        return messages
