"""Trains the bot when what it learns from has changed: `python -m ops.training [--force]`, which is `make train`.

A model is named after the content that it was trained from (`models/<hash>.tar.gz`), so going back to older data finds
the older model. It is trained in a folder of its own and moved into place when it is complete: an interrupted training
leaves the models as they were.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import settings

KEEP = 3
SOURCES = (
    *("bot/data", "bot/domain.yml", "bot/config.yml", "bot/topics.yml"),
    *("bot/components", "bot/patterns.py", "bot/spelling.py", "requirements/rasa.lock"),
    *("encoder/files/card.json", "encoder/model.py", "encoder/text.py"),
)
"""Files and folders that a model depends on, relative to the root; with the lock, because models are pickles."""


def files(root: Path, sources: Sequence[str] = SOURCES) -> Iterator[Path]:
    for source in sources:
        path = root / source
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def fingerprint(root: Path = settings.ROOT, sources: Sequence[str] = SOURCES) -> str:
    """16 hexadecimal digits that change when the name or the content of a source changes, and not with its date."""
    digest = hashlib.sha256()
    for file in files(root, sources):
        digest.update(str(file.relative_to(root)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def train(models: Path, *, force: bool = False) -> int:
    """Makes the model of today's content the newest one in `models`; returns the exit status of the training."""
    models.mkdir(parents=True, exist_ok=True)
    with (models / ".lock").open("w") as lock:  # a second training at the same time waits, and then has nothing to do
        fcntl.flock(lock, fcntl.LOCK_EX)
        name = fingerprint()
        model = models / f"{name}.tar.gz"
        if model.exists() and not force:
            os.utime(model)  # Rasa loads the model that changed last
            return 0
        print("Training the bot, up to three minutes / 正在训练机器人，最多三分钟 …", flush=True)
        start = time.monotonic()
        unfinished, log = models / "unfinished", models / "training.log"
        python = str(settings.ROOT / ".venvs/rasa/bin/python")
        with log.open("w") as output:  # Rasa tells every step of every story
            status = subprocess.run(
                [python, "-m", "bot", "train", "--fixed-model-name", name],
                cwd=settings.ROOT,
                env={**os.environ, "MODELS_DIR": str(unfinished)},
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        if status == 0:
            (unfinished / model.name).replace(model)
            print(f"Trained in {time.monotonic() - start:.0f} s / 训练完成: {model}", flush=True)
            for old in sorted(models.glob("*.tar.gz"), key=lambda file: file.stat().st_mtime)[:-KEEP]:
                old.unlink()
        else:
            print("".join(log.read_text().splitlines(keepends=True)[-20:]) + f"{log}", file=sys.stderr)
        return status


def main() -> int:
    for signum in (signal.SIGINT, signal.SIGTERM):  # a shell ignores the first for what runs in the background
        signal.signal(signum, signal.default_int_handler)  # unwind, so that the training underneath stops too
    models = settings.ROOT / (os.environ.get("MODELS_DIR") or "models")
    try:
        status = train(models, force="--force" in sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    if status:
        print("The training did not finish; the models are as they were / 训练未完成，原有模型不变", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
