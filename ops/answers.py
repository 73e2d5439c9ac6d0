"""Trains what finds the shop's answers when what it learns from has changed: `python -m ops.answers [--force]`.

It is the second half of `make train`: how much words and meaning weigh goes into `models/answering`, and the retriever
of today's answers beside it, so that the house need not learn it when it starts.
"""

from __future__ import annotations

import fcntl
import json
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import encoder
import settings
from knowledge_graph import Background, Subject, digest, learning, read_files, train_answering
from ops import graph_sync, lessons
from ops.training import fingerprint

SOURCES = (
    *("bot/data/nlu", "bot/topics.yml", "mall_adapter/rules", "encoder/model.py", "encoder/files/card.json"),
    *("knowledge_graph/content", "knowledge_graph/unanswered.yml"),
    *(f"knowledge_graph/{name}.py" for name in ("learning", "retrieval", "text", "training")),
)
"""What the finding of answers depends on, besides the operator's own answers."""

NO_ANSWER = ("chitchat", "out_of_scope")
"""Intents that no answer of the shop is for."""


def train(*, force: bool = False) -> None:
    """If what it learns from has changed. The folder stays what it was until the new one is complete."""
    models = settings.models_dir()
    models.mkdir(parents=True, exist_ok=True)
    with (models / ".answering.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        own = [digest(path) for path in graph_sync.own_files()]
        meaning = encoder.load()
        now = {"sources": [fingerprint(sources=SOURCES), *own], "encoder": meaning.name if meaning else None}
        stamp = settings.answering_dir() / "stamp"
        then = read_stamp(stamp)
        trained = then.items() >= now.items() and not force
        if trained and (settings.retrievers_dir() / str(then.get("retriever")) / "retriever.json").exists():
            return
        print("Learning to find answers, up to two minutes / 正在学习检索答案，最多两分钟 …", flush=True)
        start = time.monotonic()
        learned = material(graph_sync.files())
        if not trained:
            with learning.alone():
                train_answering(learned.subjects, learned.background, settings.answering_dir())
        draft = stamp.with_suffix(".draft")
        draft.write_text(json.dumps({**now, "retriever": learning.learn(learned.subjects)}))
        draft.replace(stamp)
        how = "by words and meaning / 按字词和语义" if meaning else "by words alone / 仅按字词"
        print(f"Learned in {time.monotonic() - start:.0f} s, {how}", flush=True)


def read_stamp(stamp: Path) -> dict[str, Any]:
    """Nothing where there is none, or only half a one."""
    try:
        then = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return then if isinstance(then, dict) else {}


@dataclass(frozen=True, slots=True)
class Material:
    """What finding answers is learned from; see :func:`knowledge_graph.train_answering`."""

    subjects: list[Subject]
    background: Background


def material(answers: Sequence[Path]) -> Material:
    """From the files of the answers, and from what the bot learns."""
    by_intent = spoken()
    topics: dict[str, str] = yaml.safe_load((settings.ROOT / "bot/topics.yml").read_text("utf-8"))["intents"]
    return Material(
        learning.subjects(read_files(answers, graph_sync.facts()).entries),
        Background(
            tuple(line for intent in NO_ANSWER for line in by_intent[intent]),
            tuple((line, topic) for intent, topic in topics.items() for line in by_intent[intent]),
        ),
    )


def spoken() -> defaultdict[str, list[str]]:
    """The lines of each intent as customers type them, without the marks of entities."""
    found = defaultdict[str, list[str]](list)
    for path in sorted((settings.ROOT / "bot/data/nlu").rglob("*.yml")):
        for block in lessons.blocks(path.read_text("utf-8")):
            found[block.intent] += [lessons.ANNOTATION.sub(r"\g<words>", example.text) for example in block.examples]
    return found


def main() -> int:
    for signum in (signal.SIGINT, signal.SIGTERM):  # a shell ignores the first for what runs in the background
        signal.signal(signum, signal.default_int_handler)  # unwind: no half-made folder stays
    try:
        train(force="--force" in sys.argv[1:])
    except learning.LearningFailed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Answers are found as before / 答案检索保持不变", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
