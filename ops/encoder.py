"""Tunes the encoder on what the bot is taught: `python -m ops.encoder`, which is `make encoder`; 15 to 30 minutes.

It needs `.venvs/encoder`. What comes of it is kept in the repository and read where the bot runs (`encoder/files`).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import settings
from knowledge_graph import preparing
from knowledge_graph.sources import LINES, TOPICS, house_facts
from knowledge_graph.sync import files
from knowledge_graph.taught import Taught
from knowledge_graph.training import unanswered


def material() -> dict[str, object]:
    """What `encoder` learns from: the lines of each intent, the ways of asking for each answer, and for none."""
    taught = Taught.read(LINES, TOPICS)
    subjects = preparing.material(files(), taught, house_facts()).subjects
    return {
        "intents": taught.spoken,
        "answers": {subject.id: subject.lines for subject in subjects},
        "unanswered": unanswered(),
    }


def main() -> int:
    print("Tuning the encoder, 15 to 30 minutes / 正在训练语义模型，约 15 到 30 分钟 …", flush=True)
    python = str(settings.ROOT / ".venvs/encoder/bin/python")
    command = [python, "-m", "encoder"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores for what runs in the background
    try:
        return subprocess.run(command, cwd=settings.ROOT, input=json.dumps(material()), text=True).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
