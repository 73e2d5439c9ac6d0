"""`rasa interactive` with everything that it needs: `python -m ops.interactive`, which is `make interactive`.

The operator talks to the bot and says what it should have understood and done. All of it happens in a scratch folder: a
copy of `bot/`, a demo mall of its own, conversations in memory. At the end the changes to `bot/` are shown, and written
if the operator says so; until then `bot/` is as it was, whatever happens. See `ops/lessons.py` for what is written.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import httpx
import yaml

import settings
from connectors.health import bolt_answers
from ops import lessons, reaper
from ops.stack import STEPS, Part, StackError, free_ports, graph, house, say, sync
from ops.training import fingerprint

RASA = str(settings.ROOT / ".venvs/rasa/bin/python")
READY_SECONDS = 120
OURS = (
    "DATABASE_URL",
    "DEMO",
    "GRAPH_URI",
    "GRAPH_USER",
    "GRAPH_PASSWORD",
    "KEYRING_FILE",
    "RASA_URL",
    "ACTIONS_URL",
    "REDIS_URL",
    "PUBLIC_URL",
)
"""Settings that would lead to the real mall."""

WELCOME = """
Talk to the bot as a customer would; after each step say whether it was right.
像顾客一样和机器人聊天，每一步告诉它做得对不对。
  y / n     right or wrong / 对或不对
  ↑ ↓ ⏎     choose from a list / 在列表中选择
  Ctrl-C    menu: undo, start fresh, Export & Quit / 菜单：撤销、重新开始、导出并退出
At the end press ⏎ three times to accept the names of the files; then the changes are shown, and nothing is
written without your yes. / 退出时连按三次回车接受文件名，随后会显示改动，您同意才会写入。
The mall is a demo (ORD12345, phone 5678): nothing here reaches a customer. / 这里是演示商城，不会影响真实顾客。
"""


class Jobs:
    """Processes in groups of their own, which end with this program, however it ends."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self._running: list[subprocess.Popen[bytes]] = []
        self._reaper = subprocess.Popen(
            [sys.executable, reaper.__file__], stdin=subprocess.PIPE, start_new_session=True
        )

    def start(self, name: str, command: Sequence[str], cwd: Path = settings.ROOT) -> subprocess.Popen[bytes]:
        """In the background; what it prints goes to `<name>.log` of the scratch folder."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=cwd, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
        self._began(process)
        return process

    def once(self, name: str, command: Sequence[str], cwd: Path = settings.ROOT) -> int:
        """Runs a command to its end in the background; returns its exit status."""
        process = self.start(name, command, cwd)
        try:
            return process.wait()
        finally:
            self._end(process)

    def at_the_terminal(self, command: Sequence[str], cwd: Path) -> None:
        """Runs a command to its end with the terminal in its hands, as a shell would: Ctrl-C reaches only it."""
        terminal = sys.stdin.fileno()
        modes = termios.tcgetattr(terminal)
        process = subprocess.Popen(command, cwd=cwd, env=self.env, process_group=0)
        self._began(process)
        try:
            os.tcsetpgrp(terminal, process.pid)
            os.killpg(process.pid, signal.SIGCONT)  # it may have been stopped for reading a moment too early
            process.wait()
        finally:
            self._end(process)
            with contextlib.suppress(OSError, termios.error):  # the terminal may be gone
                os.set_blocking(terminal, True)  # asyncio has changed that for all who share the terminal
                os.tcsetpgrp(terminal, os.getpgrp())
                termios.tcsetattr(terminal, termios.TCSADRAIN, modes)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        for process in reversed(self._running[:]):
            self._end(process)
        assert self._reaper.stdin  # noqa: S101 (a pipe)
        self._reaper.stdin.close()
        self._reaper.wait()

    def _began(self, process: subprocess.Popen[bytes]) -> None:
        self._running.append(process)
        self._tell_reaper("+", process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(reaper.GRACE)
        reaper.end_groups([process.pid], grace=0.5)
        process.wait()
        self._running.remove(process)
        self._tell_reaper("-", process)

    def _tell_reaper(self, sign: str, process: subprocess.Popen[bytes]) -> None:
        assert self._reaper.stdin  # noqa: S101 (a pipe)
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.write(f"{sign}{process.pid}\n".encode())
            self._reaper.stdin.flush()


@contextlib.contextmanager
def scratch(bot: Path) -> Iterator[tuple[Path, Jobs]]:
    """A folder with a copy of `bot`, and the jobs that use it; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="zhanggui-interactive-") as name:
        folder = Path(name)
        shutil.copytree(bot, folder / "bot", ignore=shutil.ignore_patterns("__pycache__"))
        endpoints = folder / "bot/endpoints.yml"
        parts = yaml.safe_load(endpoints.read_text(encoding="utf-8"))
        parts.pop("tracker_store", None)  # in memory: this is no customer's conversation
        endpoints.write_text(yaml.safe_dump(parts), encoding="utf-8")
        (folder / "lessons").mkdir()
        (folder / "lessons/stories.yml").write_text('version: "3.1"\n\nstories:\n')
        ports = dict(zip(("BOT_PORT", "ACTIONS_PORT", "GRAPH_PORT"), map(str, free_ports(3)), strict=True))
        env = {name: value for name, value in os.environ.items() if name not in OURS}
        env |= ports | {"DATA_DIR": str(folder / "var"), "PYTHONPATH": str(settings.ROOT), "PYTHONWARNINGS": "ignore"}
        env["HOUSE_TOKEN"] = secrets.token_urlsafe(24)
        jobs = Jobs(folder, env)
        try:
            yield folder, jobs
        finally:
            jobs.close()


def start_parts(jobs: Jobs) -> None:
    """A demo mall, and everything of the house that the bot asks. Raises StackError when something does not start."""
    for step in STEPS:
        say(f"{step.title} …")
        if jobs.once(step.name, step.command) != 0:
            raise StackError(f"{step.title} failed / 失败:\n{jobs.log(step.name)}")
    # Rasa itself will be the bot, and the terminal the gateway; the graph is one of its own, whatever GRAPH_URI says
    jobs.start("sync", sync().command)  # waits for the graph, and nobody for it
    for part in (graph(), *(part for part in house() if part.name == "actions")):
        say(f"Starting {part.name} / 正在启动 …")
        process = jobs.start(part.name, part.command)
        port = int(jobs.env[part.setting])
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(part, port, jobs.env["HOUSE_TOKEN"]):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StackError(f"{part.name} does not start / 无法启动:\n{jobs.log(part.name)}")
            time.sleep(0.1)


def _answers(part: Part, port: int, token: str) -> bool:
    if part.name == "graph":
        return asyncio.run(bolt_answers(f"bolt://{settings.HOST}:{port}"))
    try:
        health = f"http://{settings.HOST}:{port}/health"
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(health, headers=headers, timeout=3, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def objections(bot: Path, plan: lessons.Plan, folder: Path, jobs: Jobs) -> str:
    """What the policies have against the stories of the plan; empty if they can be trained with them."""
    say("Training with the new stories, to see whether they can be learned / 正在用新故事试训练 …")
    shutil.copytree(bot, folder / "check/bot", ignore=shutil.ignore_patterns("__pycache__"))
    lessons.write(folder / "check/bot", plan.files)
    paths = (
        "--domain",
        "bot/domain.yml",
        "--config",
        "bot/config.yml",
        "--stories",
        f"bot/{lessons.NEW_STORIES.parent}",
    )
    if (
        jobs.once(
            "check", (RASA, "-m", "bot", "rasa", "train", "core", *paths, "--out", "models"), cwd=folder / "check"
        )
        == 0
    ):
        return ""
    said = jobs.log("check")
    return next((line for line in said.splitlines() if "contradict each other" in line), said[-2000:])


def propose(bot: Path, new: lessons.Knowledge, folder: Path, jobs: Jobs) -> lessons.Plan:
    """The plan that can be trained: without the stories, if they cannot be learned."""
    plan = lessons.plan(bot, new)
    if lessons.NEW_STORIES in plan.files and (against := objections(bot, plan, folder, jobs)):
        new.stories = []
        plan = lessons.plan(bot, new)
        plan.notes.append(
            "The new stories cannot be learned and are left out; the stories that are there are in bot/data/stories/.\n"
            f"新故事无法学习，没有带回；已有的故事在 bot/data/stories/。\n{against}"
        )
    return plan


def show(change: str) -> None:
    colours = {"+": "32", "-": "31", "@": "36"} if sys.stdout.isatty() and "NO_COLOR" not in os.environ else {}
    for line in change.splitlines():
        colour = "1" if colours and line.startswith(("+++", "---")) else colours.get(line[:1])
        say(f"\x1b[{colour}m{line}\x1b[0m" if colour else line)


def ask(question: str) -> bool:
    with contextlib.suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before the question is no answer to it
    try:
        return input(question).strip().lower() in ("y", "yes", "是", "好")
    except (EOFError, OSError):
        return False


def bring_back(bot: Path, plan: lessons.Plan) -> int:
    """Shows, asks, writes. Returns the exit status."""
    for note in plan.notes:
        say(f"\n! {note}")
    if not plan.files:
        say("\nNothing new to bring back / 没有新内容需要写回")
        return 0
    before = {path: _content(bot / path) for path in plan.files}
    change = lessons.diff(bot, plan.files)
    say("")
    show(change)
    accepted = False
    try:
        accepted = ask(f"\nBring this back to {bot.name}/? / 写回 {bot.name}/ 吗？[y/N] ")
        if accepted and before == {path: _content(bot / path) for path in plan.files}:
            lessons.write(bot, plan.files)
            say(
                "Written. `make run` trains the bot with it, `make test` checks it.\n"
                "已写回。make run 会用它训练，make test 检查。"
            )
            return 0
    except KeyboardInterrupt:
        say("")
    kept = settings.data_dir() / "interactive" / f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}.diff"
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept.write_text(change, encoding="utf-8")
    if accepted:
        say(f"{bot.name}/ has changed while you decided / 您确认期间 {bot.name}/ 有了别的改动")
    say(f"{bot.name}/ is as it was. The changes are kept / 未写回，改动保存在: {kept}\n  git apply {kept}")
    return 1 if accepted else 0


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def teach(bot: Path, model: Path) -> int:
    """Returns the exit status. Raises StackError."""
    with scratch(bot) as (folder, jobs):
        before = lessons.read(folder)
        start_parts(jobs)
        say(WELCOME)
        jobs.at_the_terminal((RASA, "-m", "bot", "interactive", str(model)), folder)
        try:
            new = lessons.learned(before, lessons.read(folder))
            plan = propose(bot, new, folder, jobs)
        except (yaml.YAMLError, lessons.Unchangeable) as error:
            raise StackError(f"The lessons cannot be brought back / 无法写回: {error}") from error
    return bring_back(bot, plan)


def _end(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.interactive", description=__doc__)
    parser.add_argument("--bot", type=Path, default=settings.ROOT / "bot", help="the folder to teach")
    bot = parser.parse_args().bot.resolve()
    model = settings.ROOT / (os.environ.get("MODELS_DIR") or "models") / f"{fingerprint()}.tar.gz"
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _end)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever was inherited
    for signum in (signal.SIGTTOU, signal.SIGTSTP):  # the terminal changes hands, and nobody could wake a sleeper
        signal.signal(signum, signal.SIG_IGN)
    try:
        if not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
            raise StackError("This is a conversation: start it in a terminal.\n请在终端里运行。")
        if not model.exists():
            raise StackError("The bot is not trained: make train\n机器人尚未训练，请先运行 make train")
        return teach(bot, model)
    except StackError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("\nStopped; bot/ is as it was / 已停止，bot/ 未改动")
        return 130


if __name__ == "__main__":
    sys.exit(main())
