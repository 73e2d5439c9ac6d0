"""What `make test` runs: `python -m ops.checks`, or the quick ones of `make lint` with `--quick`.

Three lanes side by side, about as long as each other. What a step printed is shown when it fails; of a test run that
passes, the closing line.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import settings
from ops.reaper import end_groups

APP = ".venvs/app/bin/python"
RASA = ".venvs/rasa/bin/python"
RASA_SIDE = (
    "bot/__main__.py",
    "bot/components",
    "tests/bot/components",
    "tests/nlu/evaluate.py",
    "tests/nlu/compare.py",
)
"""What only Rasa's environment can import."""


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    command: Sequence[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    step: Step
    passed: bool
    seconds: float


MYPY_RASA = (APP, "-m", "mypy", "--python-executable", RASA, "--python-version", "3.10", "--follow-imports=silent")
QUICK = (
    Step("lint", (APP, "-m", "ruff", "check", "--quiet", ".")),
    Step("format", (APP, "-m", "ruff", "format", "--check", "--quiet", ".")),
    Step("import contracts", (".venvs/app/bin/lint-imports",)),
    Step("types", (APP, "-m", "mypy", ".", "--exclude", f"^({'|'.join(RASA_SIDE)})")),
    Step("flows and patterns", (RASA, "-m", "bot.components.dialogue")),
    Step("no lure to forward", (APP, "-m", "ops.lures")),
    Step("types on Rasa's side", (*MYPY_RASA, "--cache-dir", ".mypy_cache/rasa", *RASA_SIDE)),
)
MALL = ("tests/demo", "tests/mall_adapter", "tests/storage")
ELSEWHERE = (*MALL, "tests/bot/components", "tests/e2e", "tests/knowledge_graph", "tests/ops")
"""Tests that have a step of their own, most of them in another lane: they wait for processes more than they compute."""

WALK = "tests/e2e/test_walk.py"
MAKING = "tests/encoder/making"  # with what only the application's environment has
APP_LANE = (
    *QUICK,
    Step("tests", (APP, "-m", "pytest", "tests", *(f"--ignore={folder}" for folder in ELSEWHERE))),
    Step("random walk", (APP, "-m", "pytest", WALK)),
)
VALIDATE = ("data", "validate", "--domain", "bot/domain.yml", "--config", "bot/config.yml", "--data", "bot/data")
STORIES = ("--stories", "tests/stories", "--fail-on-prediction-errors", "--no-plot")
RASA_LANE = (
    Step("training data", (RASA, "-m", "bot", "rasa", *VALIDATE)),
    Step("tests on Rasa's side", (RASA, "-m", "pytest", "tests/bot/components", "tests/encoder", f"--ignore={MAKING}")),
    Step("stories", (RASA, "-m", "bot", "rasa", "test", "core", "--model", "models", *STORIES)),
    Step("held-out lines", (RASA, "-m", "tests.nlu.evaluate", "--check")),
    Step("conversations", (APP, "-m", "pytest", "tests/e2e", f"--ignore={WALK}")),
    Step("tests of the mall", (APP, "-m", "pytest", *MALL)),
)
HOUSE_LANE = (
    Step("tests of the house", (APP, "-m", "pytest", "tests/ops")),
    Step("tests of the graph", (APP, "-m", "pytest", "tests/knowledge_graph")),
)

STEP_SECONDS = 2700
"""A step that takes longer hangs."""

IN_MEMORY = Path("/dev/shm")  # noqa: S108 (where Linux keeps files in memory)
MEMORY_BYTES = 6 * 2**30
"""Free there, so that the tests may write to it: they make and sync thousands of small databases."""

ENVIRONMENT = {
    "RASA_TELEMETRY_ENABLED": "false",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
}


@contextmanager
def scratch() -> Iterator[str]:
    """A folder for what the tests write, gone afterwards."""
    roomy = IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free >= MEMORY_BYTES
    place = IN_MEMORY if roomy else None
    with tempfile.TemporaryDirectory(prefix="test-", dir=place, ignore_cleanup_errors=True) as folder:
        yield folder


async def run(step: Step, folder: str) -> Outcome:
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:  # not a pipe: a process that a test forgot would keep it open
        process = await asyncio.create_subprocess_exec(
            *step.command,
            cwd=settings.ROOT,
            env=os.environ | ENVIRONMENT | {"TMPDIR": folder},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            passed = await asyncio.wait_for(process.wait(), STEP_SECONDS) == 0
        except asyncio.TimeoutError:
            passed = False
            output.write(f"\nnot done after {STEP_SECONDS} s: stopped\n".encode())
        finally:
            end_groups([process.pid])
        output.seek(0)
        text = output.read().decode(errors="replace").strip()
    outcome = Outcome(step, passed, time.monotonic() - start)
    if passed:
        text = text.rpartition("\n")[2] if "pytest" in step.command else ""
    print(
        f"{'✔' if passed else '✘'} {step.name} ({outcome.seconds:.0f} s)", *filter(None, [text]), sep="\n", flush=True
    )
    return outcome


async def lane(steps: Sequence[Step], folder: str) -> list[Outcome]:
    return [await run(step, folder) for step in steps]


async def check(*lanes: Sequence[Step]) -> bool:
    """Runs the lanes side by side; every step runs, whatever failed before."""
    task = asyncio.current_task()
    assert task  # noqa: S101 (we are in one)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with scratch() as folder:
        done = await asyncio.gather(*(lane(steps, folder) for steps in lanes))
    outcomes = [outcome for outcomes in done for outcome in outcomes]
    print("\n" + "\n".join(f"{'✔' if o.passed else '✘'} {o.step.name:22} {o.seconds:5.0f} s" for o in outcomes))
    return all(outcome.passed for outcome in outcomes)


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores for what runs in the background
    lanes = (QUICK,) if "--quick" in sys.argv[1:] else (APP_LANE, RASA_LANE, HOUSE_LANE)
    try:
        return 0 if asyncio.run(check(*lanes)) else 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


if __name__ == "__main__":
    sys.exit(main())
