"""What an operator taught the bot in `rasa interactive`, and how it comes into `bot/` without touching anything else.

Rasa writes a whole domain and whole NLU files anew, in its own order and without comments. So only the content of what
it wrote is read; whatever is new goes into the files as they stand, line by line: an example to the end of its intent,
a name to the end of its list.
"""

from __future__ import annotations

import difflib
import json
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from knowledge_graph.taught import ANNOTATION

DOMAIN = Path("domain.yml")
NEW_INTENTS = Path("data/nlu/interactive.yml")
NEW_STORIES = Path("data/stories/interactive.yml")
"""Where goes what has no place yet, relative to `bot/`."""

RASAS_OWN = {"nlu_fallback", "restart", "back", "session_start"}
"""Intents that Rasa predicts by itself and nobody teaches."""

INSTEAD_OF = "instead_of"
"""Slot of stories alone: what the flows would have done, before the action that the operator wanted."""

MARK = (
    f"{INSTEAD_OF}: {{ type: text, mappings: [{{ type: custom }}] }} # only in stories: what the flows would have done"
)
"""How a domain declares it; the first story brings it along."""


class Unchangeable(Exception):
    """A file that cannot be changed without rewriting it; English and Chinese, for the person who has to."""


@dataclass(frozen=True, slots=True)
class Example:
    intent: str
    text: str  # as written, with annotations
    line: int  # in its file, from 0


@dataclass(frozen=True, slots=True)
class Block:
    """The examples of one intent in one file."""

    intent: str
    examples: tuple[Example, ...]
    end: int  # line after which the next example goes
    indent: str


@dataclass(slots=True)
class Knowledge:
    """The content of a folder's YAML, wherever it stands."""

    examples: dict[tuple[str, str], None] = field(default_factory=dict)  # (intent, text), in their order
    stories: list[dict[str, Any]] = field(default_factory=list)
    intents: dict[str, None] = field(default_factory=dict)
    entities: dict[str, None] = field(default_factory=dict)
    actions: dict[str, None] = field(default_factory=dict)
    responses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    forms: dict[str, None] = field(default_factory=dict)
    weighing: set[str] = field(default_factory=set)  # slots that stories depend on, and that no code sets


@dataclass(frozen=True, slots=True)
class Plan:
    """New texts of files, by their path relative to `bot/`, and what a person should know beyond the diff."""

    files: dict[Path, str]
    notes: list[str]


def read(folder: Path) -> Knowledge:
    """Everything that the YAML files of `folder` teach. Raises yaml.YAMLError for a file that is none."""
    known = Knowledge()
    for path in sorted(folder.rglob("*.yml")):
        # appending a second conversation to a new file, Rasa writes the head of the file again
        for part in re.split(r"(?m)^(?=version:)", path.read_text(encoding="utf-8")):
            content = yaml.load(part, yaml.CSafeLoader)
            if not isinstance(content, dict):
                continue
            known.examples |= {(block.intent, one.text): None for block in blocks(part) for one in block.examples}
            known.stories += content.get("stories") or []
            known.intents |= dict.fromkeys(map(_name, content.get("intents") or []))
            known.entities |= dict.fromkeys(map(_name, content.get("entities") or []))
            known.actions |= dict.fromkeys(map(_name, content.get("actions") or []))
            known.responses |= content.get("responses") or {}
            known.forms |= dict.fromkeys(content.get("forms") or {})
            for name, slot in (content.get("slots") or {}).items():
                custom = any(mapping.get("type") == "custom" for mapping in slot.get("mappings") or [])
                if not custom and slot.get("type") != "any" and slot.get("influence_conversation") is not False:
                    known.weighing.add(name)
    return known


def _name(entry: str | Mapping[str, Any]) -> str:
    """Of an entry like `greet` or `greet: {use_entities: []}`."""
    return entry if isinstance(entry, str) else next(iter(entry))


def learned(before: Knowledge, after: Knowledge) -> Knowledge:
    """What `after` knows and `before` does not."""
    new = Knowledge()
    new.examples = {key: None for key in after.examples if key not in before.examples and key[0] not in RASAS_OWN}
    new.stories = [story for story in after.stories if story not in before.stories]
    new.intents = {name: None for name in after.intents if name not in before.intents and name not in RASAS_OWN}
    new.entities = {name: None for name in after.entities if name not in before.entities}
    # Rasa lists every action that ran, responses and forms as well
    listed = {*before.actions, *before.responses, *before.forms, *after.responses}
    new.actions = {name: None for name in after.actions if name not in listed}
    new.responses = {name: said for name, said in after.responses.items() if name not in before.responses}
    return new


def blocks(text: str) -> Iterator[Block]:
    """The `examples: |` of an NLU file, in order."""
    lines = text.splitlines()
    for entry in _children(_top(text).get("nlu")):
        named = {key.value: value for key, value in entry.value} if isinstance(entry, yaml.MappingNode) else {}
        intent, scalar = named.get("intent"), named.get("examples")
        if intent is None or not isinstance(scalar, yaml.ScalarNode) or scalar.style != "|":
            continue
        first = scalar.start_mark.line + 1
        spoken = [n for n in range(first, scalar.end_mark.line) if lines[n].lstrip().startswith("- ")]
        examples = tuple(Example(intent.value, lines[n].strip()[2:].strip(), n) for n in spoken)
        end = spoken[-1] if spoken else first - 1
        indent = lines[end][: len(lines[end]) - len(lines[end].lstrip())] if spoken else "    "
        yield Block(intent.value, examples, end, indent)


def _top(text: str) -> dict[str, yaml.Node]:
    """The values of a file's outermost keys, with their places in the text."""
    root = yaml.compose(text, yaml.CSafeLoader)
    return {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}


def _children(node: yaml.Node | None) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _last_line(node: yaml.Node, lines: list[str]) -> int:
    """The end mark of a block points at whatever comes next, comments included: so look for its last leaf."""
    children = [] if getattr(node, "flow_style", False) else _children(node)
    if children:
        return _last_line(children[-1], lines)
    line: int = node.end_mark.line - (node.end_mark.column == 0)  # text in many lines ends where the next line begins
    while not lines[line].strip():
        line -= 1
    return line


def add_to(text: str, key: str, entries: Iterable[str]) -> str:
    """`text` with more entries at the end of the list or mapping `key`, which is made if there is none.

    An entry is a piece of YAML as it would stand at the margin: `- greet`, or `utter_greet:` and the lines under it.
    """
    entries = list(entries)
    node = _top(text).get(key)
    lines = text.splitlines()
    if node is None:
        return (text.rstrip("\n") + "\n\n" if text else 'version: "3.1"\n\n') + "\n".join([f"{key}:", *entries]) + "\n"
    if not _children(node) or getattr(node, "flow_style", False):
        raise Unchangeable(f"“{key}” is written on one line; write one entry a line first / 请先把 {key} 改成每行一项")
    indent = " " * node.start_mark.column
    added = [indent + line if line else line for entry in entries for line in entry.splitlines()]
    at = _last_line(node, lines) + 1
    return "\n".join([*lines[:at], *added, *lines[at:]]) + "\n"


def words(text: str) -> str:
    """An example without annotations."""
    return ANNOTATION.sub(lambda found: found["words"], text)


def same(text: str) -> str:
    """Equal for lines that teach the same: spelling aside, numbers are numbers. Short ones with numbers stand alone."""
    line = unicodedata.normalize("NFKC", words(text)).casefold()
    kept = "".join(c for c in line if not c.isspace() and unicodedata.category(c)[0] not in "CPZ")
    folded = re.sub(r"(?:ord)?\d+", "0", kept)
    return line if not folded or ("0" in folded and len(folded) <= 4) else folded


def _entities(text: str) -> set[str]:
    """Names of the entities that are annotated in an example."""
    found = set()
    for match in ANNOTATION.finditer(text):
        found |= {match["entity"]} if match["entity"] else set(re.findall(r'"entity":\s*"([^"]+)"', match["details"]))
    return found


def plan(bot: Path, new: Knowledge) -> Plan:
    """How `new` comes into the files of `bot`. Raises Unchangeable."""
    known, files, notes = read(bot), dict[Path, str](), list[str]()
    _plan_examples(bot, known, new, files, notes)
    _plan_domain(bot, new, files, notes)
    _plan_stories(bot, known, new, files, notes)
    return Plan(files, notes)


def _plan_examples(bot: Path, known: Knowledge, new: Knowledge, files: dict[Path, str], notes: list[str]) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in sorted((bot / "data").rglob("*.yml"))}
    found = {path: list(blocks(text)) for path, text in texts.items()}
    places = {same(one.text): (path, one) for path, all_ in found.items() for block in all_ for one in block.examples}
    # an entity that is learned from examples is annotated in them; all others are found by code and word lists
    learned_ones = set().union(*(_entities(text) for _, text in known.examples))
    removed: dict[Path, set[int]] = {}
    added: dict[Path, dict[int, list[str]]] = {}
    unplaced: dict[str, dict[str, None]] = {}
    for intent, spoken in new.examples:
        text = " ".join((spoken if _entities(spoken) <= learned_ones else words(spoken)).split())
        if _entities(spoken) - set(known.entities):
            names = ", ".join(sorted(_entities(spoken) - set(known.entities)))
            notes.append(
                f"{names}: an entity that the bot does not know; words for one go to bot/data/lookups/\n"
                f"{names}：机器人不认识这个实体，词表请写到 bot/data/lookups/"
            )
        if same(text) in places:
            path, old = places[same(text)]
            if old.intent == intent and (old.text == text or not _entities(text) | _entities(old.text)):
                continue
            removed.setdefault(path, set()).add(old.line)
        candidates = [(len(b.examples), path, b) for path, all_ in found.items() for b in all_ if b.intent == intent]
        if candidates:
            _, path, block = max(candidates, key=lambda candidate: candidate[0])
            line = f"{block.indent}- {text}"
            ending = added.setdefault(path, {}).setdefault(block.end, [])
            if line not in ending:
                ending.append(line)
        else:
            unplaced.setdefault(intent, {})[text] = None
    for path in {**removed, **added}:
        lines = []
        for number, line in enumerate(texts[path].splitlines()):
            lines += [] if number in removed.get(path, ()) else [line]
            lines += added.get(path, {}).get(number, [])
        files[path.relative_to(bot)] = "\n".join(lines) + "\n"
    if unplaced:
        text = files.get(NEW_INTENTS, texts.get(bot / NEW_INTENTS, ""))
        entries = (
            f"- intent: {intent}\n  examples: |\n" + "\n".join(f"    - {text}" for text in spoken)
            for intent, spoken in unplaced.items()
        )
        files[NEW_INTENTS] = add_to(text, "nlu", entries)


def _plan_domain(bot: Path, new: Knowledge, files: dict[Path, str], notes: list[str]) -> None:
    original = text = (bot / DOMAIN).read_text(encoding="utf-8")
    for key, names in (("intents", new.intents), ("actions", new.actions)):
        if names:
            text = add_to(text, key, (f"- {name}" for name in names))
    if new.responses:
        entries = (
            f"{name}:\n" + "\n".join(f"  - text: {json.dumps(one['text'], ensure_ascii=False)}" for one in said)
            for name, said in new.responses.items()
        )
        text = add_to(text, "responses", entries)
    if text != original:
        files[DOMAIN] = text
    for name in new.intents:
        notes.append(
            f"{name} is a new intent: it needs a flow in bot/data/flows/, a paragraph in docs/nlu.md, more examples\n"
            f"{name} 是新意图：还需要 bot/data/flows/ 里的流程、docs/nlu.md 里的说明和更多例句"
        )
    for name in new.actions:
        notes.append(f"{name} has no code yet (bot/actions/)\n{name} 还没有代码（bot/actions/）")


def _plan_stories(bot: Path, known: Knowledge, new: Knowledge, files: dict[Path, str], notes: list[str]) -> None:
    told = [{**story, "steps": list(_told(story["steps"], known.weighing))} for story in new.stories]
    taught = [{**story, "steps": steps} for story in told if (steps := _to_the_last_lesson(story["steps"]))]
    if any(_validates(_corrected(step)) for story in new.stories for step in story["steps"]):
        notes.append(
            "A validation comes first, whatever a story says: what you wanted instead of one is not kept\n"
            "校验总是最先执行：您用来代替校验的动作没有保留"
        )
    elif len(taught) < len(told):
        notes.append(
            "What the bot did was right, and the flows do it already: there is no story to write\n"
            "机器人的做法您都认可，流程本来就会这样做：不需要写成故事"
        )
    if taught:
        path = bot / NEW_STORIES
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        files[NEW_STORIES] = add_to(text, "stories", map(_story, _numbered(known, taught)))
        domain = files.get(DOMAIN) or (bot / DOMAIN).read_text(encoding="utf-8")
        if INSTEAD_OF not in (yaml.load(domain, yaml.CSafeLoader).get("slots") or {}):
            files[DOMAIN] = add_to(domain, "slots", [MARK])


def _told(steps: Iterable[dict[str, Any]], weighing: set[str]) -> Iterator[dict[str, Any]]:
    """The steps without anything that the customer said or that the bot noted of it: a story is found again by intents
    and actions alone. Validations need not be told either."""
    for step in steps:
        slots = {name for slot in step.get("slot_was_set", []) for name in (slot if isinstance(slot, dict) else [slot])}
        if not slots <= weighing | {INSTEAD_OF} or _validates(step.get("action")) or _validates(_corrected(step)):
            continue
        yield {**step, "entities": list(dict.fromkeys(map(_name, step["entities"])))} if "entities" in step else step


def _validates(action: str | None) -> bool:
    return action is not None and action.startswith("validate_")


def _corrected(step: dict[str, Any]) -> str | None:
    """What the flows would have done, if that is what the step says."""
    return next((slot[INSTEAD_OF] for slot in step.get("slot_was_set", []) if INSTEAD_OF in slot), None)


def _to_the_last_lesson(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Up to the end of the last answer in which the operator wanted something else. Empty if there is none."""
    taught = max((at for at, step in enumerate(steps) if _corrected(step)), default=-1)
    end = next((at for at, step in enumerate(steps) if at > taught and "intent" in step), len(steps))
    return steps[:end] if taught >= 0 else []


def _numbered(known: Knowledge, stories: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rasa calls the first story of every session `interactive_story_1`."""
    taken = {story.get("story") for story in known.stories}
    number = 0
    for story in stories:
        while f"interactive {number}" in taken or not number:
            number += 1
        taken.add(f"interactive {number}")
        yield {**story, "story": f"interactive {number}"}


def _story(story: dict[str, Any]) -> str:
    dumped: str = yaml.safe_dump([story], allow_unicode=True, sort_keys=False, width=10_000)
    return dumped.rstrip("\n")


def diff(bot: Path, files: Mapping[Path, str]) -> str:
    """A unified diff that `git apply` takes in the folder that holds `bot`."""
    pieces = []
    for path in sorted(files):
        old = (bot / path).read_text(encoding="utf-8") if (bot / path).exists() else None
        name = f"{bot.name}/{path}"
        head = f"a/{name}" if old is not None else "/dev/null"
        change = difflib.unified_diff(
            (old or "").splitlines(keepends=True), files[path].splitlines(keepends=True), head, f"b/{name}"
        )
        pieces.append("".join(change))
    return "".join(pieces)


def write(bot: Path, files: Mapping[Path, str]) -> None:
    """Writes every file or, when that fails or is interrupted, none; each is whole at any moment."""
    # what others build upon first: names, then examples, then stories
    order = sorted(files, key=lambda path: (path != DOMAIN, path == NEW_STORIES))
    old = {path: (bot / path).read_bytes() if (bot / path).exists() else None for path in order}
    with tempfile.TemporaryDirectory(dir=bot.parent, prefix=".interactive-") as staging:
        staged = {path: Path(staging, str(number)) for number, path in enumerate(order)}
        for path in order:
            staged[path].write_text(files[path], encoding="utf-8")
            (bot / path).parent.mkdir(parents=True, exist_ok=True)
            if (bot / path).exists():
                staged[path].chmod((bot / path).stat().st_mode)
        written = []
        try:
            for path in order:
                written.append(path)
                staged[path].replace(bot / path)
        except BaseException:
            for path in written:
                before = old[path]
                if before is None:
                    (bot / path).unlink(missing_ok=True)
                else:
                    Path(staging, "old").write_bytes(before)
                    Path(staging, "old").replace(bot / path)
            raise
