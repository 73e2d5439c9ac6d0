"""Trains what finds the shop's answers when what it learns from has changed: ``python -m knowledge_graph train``.

It is the second half of ``make train``: how much words and meaning weigh goes into ``models/answering``, and the
retriever of today's answers beside it, so that the house need not learn it when it starts.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import encoder
import settings
from knowledge_graph import learning
from knowledge_graph.entries import Fact, read_files
from knowledge_graph.files import digest
from knowledge_graph.retrieval import Background, Subject
from knowledge_graph.sync import files
from knowledge_graph.taught import Taught
from knowledge_graph.training import UNANSWERED, train

HERE = Path(__file__).parent
CODE = (
    *(HERE / f"{name}.py" for name in ("learning", "retrieval", "taught", "text", "training")),
    *(settings.ROOT / "encoder" / name for name in ("model.py", "files/card.json")),
)
"""What changes what is learned, besides what it is learned from."""

NO_ANSWER = ("chitchat", "out_of_scope")
"""Intents that no answer of the shop is for."""


def prepare(lines: Path, topics: Path, facts: Mapping[str, Fact], *, force: bool = False) -> None:
    """Trains if what it learns from has changed. The folder stays what it was until the new one is complete.

    ``lines`` and ``topics`` are what the bot is taught (see :class:`Taught`); of ``facts``, only their names count.
    """
    models = settings.models_dir()
    models.mkdir(parents=True, exist_ok=True)
    with (models / ".answering.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        meaning = encoder.load()
        sources = [*_within(lines), topics, *files(), UNANSWERED, *CODE]
        now = {
            "sources": [f"{path.name} {digest(path)}" for path in sources],
            "facts": sorted(facts),
            "encoder": meaning.name if meaning else None,
        }
        stamp = settings.answering_dir() / "stamp"
        then = read_stamp(stamp)
        trained = then.items() >= now.items() and not force
        if trained and (settings.retrievers_dir() / str(then.get("retriever")) / "retriever.json").exists():
            return
        print("Learning to find answers, up to two minutes / 正在学习检索答案，最多两分钟 …", flush=True)
        start = time.monotonic()
        learned = material(files(), Taught.read(lines, topics), facts)
        if not trained:
            with learning.alone():
                train(learned.subjects, learned.background, settings.answering_dir())
        draft = stamp.with_suffix(".draft")
        draft.write_text(json.dumps({**now, "retriever": learning.learn(learned.subjects)}))
        draft.replace(stamp)
        how = "by words and meaning / 按字词和语义" if meaning else "by words alone / 仅按字词"
        print(f"Learned in {time.monotonic() - start:.0f} s, {how}", flush=True)


def _within(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def read_stamp(stamp: Path) -> dict[str, Any]:
    """Nothing where there is none, or only half a one."""
    try:
        then = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return then if isinstance(then, dict) else {}


@dataclass(frozen=True, slots=True)
class Material:
    """What finding answers is learned from; see :func:`knowledge_graph.training.train`."""

    subjects: list[Subject]
    background: Background


def material(answers: Sequence[Path], taught: Taught, facts: Mapping[str, Fact]) -> Material:
    """From the files of the answers, and from what the bot is taught."""
    spoken = taught.spoken
    return Material(
        learning.subjects(read_files(answers, facts).entries),
        Background(
            tuple(line for intent in NO_ANSWER for line in spoken.get(intent, ())),
            tuple((line, topic) for intent, topic in taught.topics.items() for line in spoken.get(intent, ())),
        ),
    )
