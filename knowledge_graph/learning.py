"""The retriever of the answers that are in the graph now: stored once it was learned, learned where it is missing."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp
from zipfile import BadZipFile

import encoder
import settings
from knowledge_graph.content import Answer
from knowledge_graph.entries import Entry
from knowledge_graph.retrieval import Retriever, Subject
from knowledge_graph.training import UNANSWERED, Trained, remembered

log = logging.getLogger(__name__)

KEPT = 3
"""Stored retrievers; the oldest give way."""

SECONDS = 300.0
"""For learning one: it takes some seconds on a quiet machine."""

CODE = tuple(Path(__file__).with_name(name) for name in ("retrieval.py", "text.py"))


_NUMBER = re.compile(r"\d+")


class LearningFailed(Exception):
    """The process that learns has ended without a retriever; its last words say why."""


def subjects(answers: Sequence[Answer | Entry]) -> list[Subject]:
    """The numbers in an answer change with the rules; nobody finds it by them."""
    return [Subject(one.id, one.topic, (*one.ask, one.title), _NUMBER.sub(" ", one.text)) for one in answers]


def fingerprint(known: Sequence[Subject]) -> str:
    """Changes with the answers, with what was trained, and with how retrievers are made."""
    state = [[one.id, one.topic, one.lines, one.text] for one in sorted(known, key=lambda one: one.id)]
    meaning = encoder.load()
    digest = hashlib.sha256(json.dumps([state, meaning.name if meaning else None]).encode())
    for path in (UNANSWERED, *CODE, settings.answering_dir() / "trained.json"):
        digest.update(hashlib.sha256(path.read_bytes()).digest() if path.exists() else b"-")
    return digest.hexdigest()[:16]


def stored(name: str) -> Retriever | None:
    """None where there is none, or only a damaged one, which gives way to the next."""
    folder = settings.retrievers_dir() / name
    if not _complete(folder):
        return None
    try:
        with contextlib.suppress(OSError):  # a folder that may only be read
            os.utime(folder)
        return Retriever.load(folder, encoder.load())
    except (BadZipFile, EOFError, LookupError, OSError, TypeError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _complete(folder: Path) -> bool:
    return (folder / "retriever.json").exists()


def store(retriever: Retriever, name: str) -> None:
    home = settings.retrievers_dir()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = Path(mkdtemp(prefix=".", dir=home))
    retriever.save(unfinished)
    if not _complete(home / name):  # somebody was stopped while clearing it away
        shutil.rmtree(home / name, ignore_errors=True)
    try:
        unfinished.rename(home / name)
    except OSError:  # another process was quicker
        shutil.rmtree(unfinished)
    dated = sorted(home.glob("[!.]*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    abandoned = [folder for folder in home.glob(".*") if folder.stat().st_mtime < time.time() - 2 * SECONDS]
    for old in (*dated[KEPT:], *abandoned):
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One process learns at a time: the others wait, and find that it is done. Raises LearningFailed after a while."""
    settings.models_dir().mkdir(parents=True, exist_ok=True)
    with (settings.models_dir() / ".learning.lock").open("w") as lock:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LearningFailed(f"another process has been learning for {SECONDS:g} s") from None
            time.sleep(0.1)
        yield


def learn(known: Sequence[Subject]) -> str:
    """Learns a retriever of these and stores it, if there is none; returns its name. There must be two at least."""
    if not _complete(settings.retrievers_dir() / fingerprint(known)):
        with alone():
            if not _complete(settings.retrievers_dir() / fingerprint(known)):
                _learn(known)
    return fingerprint(known)


def _learn(known: Sequence[Subject]) -> None:
    trained = Trained.load(settings.answering_dir())
    here = encoder.load()
    if here and here.name == trained.fitted_with:
        meaning, judge = remembered(known, trained.background), trained.by_both
    else:
        meaning, judge = None, trained.by_words
        if here:
            log.warning("by words alone: `make train` ran without this encoder / 训练时没有这个语义模型，仅按字词检索")
    retriever = Retriever.learn(known, trained.background, meaning, judge, trained.by_words)
    store(retriever, fingerprint(known))


async def learn_apart() -> str:
    """Learns that of the graph in a process of its own, so that nobody has to wait for this one; returns its name.

    Raises LearningFailed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "knowledge_graph", "learn"),
        cwd=settings.ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            name, words = await process.communicate()
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        raise LearningFailed(words.decode(errors="replace").strip()[-200:])
    return name.decode().strip()
