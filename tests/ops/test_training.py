"""When the bot is trained, and that an interrupted training harms no model. The trainer is a stand-in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import settings
from tests.stack import IN_THE_BACKGROUND

TRAINER = """\
#!/bin/sh
# stands in for Rasa's interpreter: -m bot train --fixed-model-name NAME
mkdir -p "$MODELS_DIR"
echo half > "$MODELS_DIR/$5.tar.gz"
case $(cat bot/data/nlu.yml) in
  *wrong*) echo 'story two contradicts story one'; exit 1 ;;
  *endless*) exec sleep 600 ;;
esac
echo whole > "$MODELS_DIR/$5.tar.gz"
"""


class Project:
    """A copy of what training needs, with a few lines of data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = folder / "models"
        for name in ("settings.py", "ops/__init__.py", "ops/training.py"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(settings.ROOT / name, folder / name)
        for name in ("bot/domain.yml", "bot/config.yml", "bot/components/tokenizer.py", "requirements/rasa.lock"):
            self.write(name, "first")
        self.write("bot/data/nlu.yml", "first")
        self.write(".venvs/rasa/bin/python", TRAINER)
        (folder / ".venvs/rasa/bin/python").chmod(0o755)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def start(self, *options: str, through: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        environ = {name: value for name, value in os.environ.items() if name != "MODELS_DIR"}
        command = [*through, sys.executable, "-m", "ops.training", *options]
        return subprocess.Popen(
            command, cwd=self.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def train(self, *options: str) -> str:
        """`trained`, `nothing to do`, or why it failed."""
        process = self.start(*options)
        said, _ = process.communicate(timeout=60)
        if process.returncode:
            return said
        return "trained" if "Trained in" in said else "nothing to do"

    def newest(self) -> Path:
        """The model that Rasa would load."""
        return max(self.models.glob("*.tar.gz"), key=lambda file: file.stat().st_ctime_ns)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize(
    ("file", "outcome"),
    [
        ("bot/data/nlu.yml", "trained"),
        ("bot/data/rules/new.yml", "trained"),
        ("bot/domain.yml", "trained"),
        ("bot/config.yml", "trained"),
        ("bot/components/tokenizer.py", "trained"),
        ("requirements/rasa.lock", "trained"),
        ("bot/actions/returns.py", "nothing to do"),
        ("bot/components/__pycache__/tokenizer.pyc", "nothing to do"),
    ],
)
def test_training_follows_content(project: Project, file: str, outcome: str) -> None:
    assert project.train() == "trained"
    assert project.train() == "nothing to do"
    project.write(file, "second")
    assert project.train() == outcome
    assert project.newest().read_text() == "whole\n"


def test_a_new_date_is_no_change_and_force_trains_anyway(project: Project) -> None:
    assert project.train() == "trained"
    os.utime(project.folder / "bot/domain.yml", (1, 1))
    assert project.train() == "nothing to do"
    assert project.train("--force") == "trained"


def test_going_back_finds_the_older_model(project: Project) -> None:
    project.train()
    first = project.newest()
    project.write("bot/data/nlu.yml", "second")
    project.train()
    assert project.newest() != first
    project.write("bot/data/nlu.yml", "first")
    assert project.train() == "nothing to do"
    assert project.newest() == first


def test_three_models_are_kept(project: Project) -> None:
    for number in range(5):
        project.write("bot/data/nlu.yml", str(number))
        project.train()
    assert len(list(project.models.glob("*.tar.gz"))) == 3
    assert project.train() == "nothing to do"


def test_a_failed_training_leaves_the_models(project: Project) -> None:
    project.train()
    first = project.newest()
    project.write("bot/data/nlu.yml", "wrong")
    assert "story two contradicts story one" in project.train()
    assert list(project.models.glob("*.tar.gz")) == [first]
    assert first.read_text() == "whole\n"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_training_stops_and_leaves_no_half_model(project: Project, signum: int) -> None:
    project.write("bot/data/nlu.yml", "endless")
    process = project.start(through=IN_THE_BACKGROUND)
    deadline = time.monotonic() + 120
    while not (trainer := psutil.Process(process.pid).children()) or trainer[0].name() != "sleep":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signum)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "models are as they were" in said
    assert "Traceback" not in said
    assert not trainer[0].is_running() or trainer[0].status() == psutil.STATUS_ZOMBIE  # init has not buried it yet
    assert list(project.models.glob("*.tar.gz")) == []
    project.write("bot/data/nlu.yml", "first")
    assert project.train() == "trained"
