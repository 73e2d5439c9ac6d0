"""The supervisor against small stand-in parts (part.py), as real processes with real signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import settings
from connectors import supervision
from connectors.supervision import VARIABLE, Life
from ops import reaper
from ops.stack import Part, StackError, Step, only_one
from tests.stack import IN_THE_BACKGROUND, UNPRIVILEGED, free_ports

PART = Path(__file__).with_name("part.py")


def until(true: Callable[[], object], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


class House:
    """A supervisor of stand-in parts in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = free_ports(2)
        self.output = folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def part(self, name: str, *traits: str, port: int | None = None) -> Part:
        port = port or self.ports[("worker", "gateway").index(name)]
        command = (sys.executable, str(PART), str(port), str(self.folder), *traits)
        return Part(name, command, "127.0.0.1", port, f"{name.upper()}_PORT", essential=name == "gateway")

    def program(self, *parts: Part, steps: tuple[Step, ...] = ()) -> str:
        health = f"http://127.0.0.1:{self.ports[1]}/healthz"
        return (
            "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL);"  # under nohup the house would not hear it
            "import sys; from pathlib import PosixPath; import ops.stack; from ops.stack import Part, Step;"
            f"ops.stack.TRIES = 3; sys.exit(ops.stack.supervise({parts!r}, {steps!r}, {health!r}, {self.folder!r}))"
        )

    def start(
        self, *parts: Part, steps: tuple[Step, ...] = (), through: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        parts = parts or (self.part("worker", "worker"), self.part("gateway"))
        return self.launch([*through, sys.executable, "-c", self.program(*parts, steps=steps)])

    def launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=settings.ROOT, stdout=output, stderr=output, start_new_session=True
            )
        return self.process

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str, times: int = 1) -> None:
        until(lambda: self.said().count(words) >= times, f"{words!r} {times} times")

    def ends(self) -> int:
        assert self.process
        return self.process.wait(timeout=120)

    def processes(self) -> list[psutil.Process]:
        """The parts and their workers; not the supervisor."""
        found = psutil.process_iter(["cmdline"])
        return [one for one in found if str(self.folder) in (one.info["cmdline"] or [])]

    def is_whole(self) -> None:
        """Both parts and the worker: just after its start, a process has no command line yet."""
        until(lambda: len(self.processes()) == 3, "two parts and a worker")

    def main_process(self, name: str) -> psutil.Process:
        port = str(self.part(name).port)
        (process,) = (one for one in self.processes() if port in one.info["cmdline"])
        return process

    def left_nothing(self) -> None:
        """No part, no worker, and no reaper: the lock that it holds is free."""
        until(lambda: not self.processes(), "no process left")
        with only_one(self.folder):
            pass


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    if house.process and house.process.poll() is None:
        house.process.terminate()
        house.process.wait(timeout=120)


def test_what_the_health_warns_of_is_told_once(house: House) -> None:
    """Not of the parts that it keeps itself, of which it tells more."""
    house.start(house.part("worker"), house.part("gateway", "warns", "rules", "worker"))
    house.wait_for("! rules is ailing")
    house.wait_for("All green")
    house.main_process("worker").kill()
    house.wait_for("died")
    assert house.said().count("! ") == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(house: House, signum: int) -> None:
    process = house.start()
    house.wait_for("All green")
    house.is_whole()
    process.send_signal(signum)
    assert house.ends() == 0
    assert house.processes() == []
    house.left_nothing()


def test_in_the_background_it_hears_signals_and_so_do_its_parts(house: House) -> None:
    process = house.start(through=IN_THE_BACKGROUND)
    house.wait_for("All green")
    house.is_whole()
    house.main_process("worker").send_signal(signal.SIGINT)
    house.wait_for("worker died / 已退出 (signal 2)")
    process.send_signal(signal.SIGINT)
    assert house.ends() == 0
    house.left_nothing()


def test_a_killed_supervisor_leaves_nothing_and_can_be_started_again(house: House) -> None:
    process = house.start()
    house.wait_for("All green")
    process.kill()
    house.ends()
    house.start()
    house.wait_for("All green")
    house.is_whole()


@pytest.mark.parametrize("aim", ["make", "everybody at the terminal"])
def test_make_run_passes_signals_on(house: House, aim: str) -> None:
    app = house.folder / "app"
    program = house.program(house.part("worker", "worker"), house.part("gateway"))
    app.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}"\n')
    app.chmod(0o755)
    make = house.launch(["make", "--old-file=train", "run", f"APP={app}"])
    house.wait_for("All green")
    if aim == "make":
        make.terminate()
    else:
        os.killpg(make.pid, signal.SIGINT)
    house.ends()
    house.left_nothing()


def test_a_dead_part_is_started_again(house: House) -> None:
    house.start()
    house.wait_for("All green")
    first = house.main_process("worker")
    house.is_whole()
    workers = first.children()
    first.kill()
    house.wait_for("worker died / 已退出 (signal 9)")
    until(lambda: any(one.pid != first.pid and len(one.children()) == 1 for one in house.processes()), "a new worker")
    assert not workers[0].is_running() or workers[0].status() == psutil.STATUS_ZOMBIE  # init has not buried it yet
    house.is_whole()


def test_a_part_that_keeps_dying_is_given_up_and_the_others_go_on(house: House) -> None:
    sync = Part("sync", (sys.executable, str(PART), "0", str(house.folder), "dies"))  # nobody can ask how it is
    process = house.start(sync, house.part("worker", "worker"), house.part("gateway"))
    house.wait_for("Ready without sync")
    assert house.said().count("sync died / 已退出 (exit 1: cannot read the key ring)") == 3
    assert "It died 3 times within 5 minutes and is given up" in house.said()
    assert "已放弃" in house.said()
    house.is_whole()
    lives = told(house)
    assert (lives["sync"].given_up, lives["sync"].running, len(lives["sync"].deaths)) == (True, False, 3)
    assert lives["worker"] == lives["gateway"] == Life(running=True)
    process.terminate()
    assert house.ends() == 0
    house.left_nothing()


def test_a_part_that_has_nothing_to_do_may_rest(house: House) -> None:
    live = Part("live", (sys.executable, str(PART), "0", str(house.folder), "rests"), may_rest=True)
    process = house.start(live, house.part("worker", "worker"), house.part("gateway"))
    house.wait_for("All green")
    until(lambda: not told(house)["live"].running, "it rests")
    assert told(house)["live"] == Life()
    assert "live died" not in house.said()
    house.is_whole()
    process.terminate()
    assert house.ends() == 0
    house.left_nothing()


def told(house: House) -> dict[str, Life]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(house.folder / "supervisor.json"))
        return supervision.told()


def test_where_nothing_can_be_written_that_is_a_sentence(house: House) -> None:
    house.folder.chmod(0o500)
    house.output = house.folder.with_name(f"{house.folder.name}.txt")
    house.start(through=UNPRIVILEGED)
    assert house.ends() == 2
    assert f"Nothing can be written in {house.folder} (Permission denied)" in house.said()
    assert "Traceback" not in house.said()
    house.folder.chmod(0o700)


def test_where_no_log_can_be_written_the_parts_go_on(house: House) -> None:
    house.start(through=UNPRIVILEGED)
    house.wait_for("All green")
    house.is_whole()
    (house.folder / "logs").chmod(0o500)
    house.folder.chmod(0o500)
    (house.folder / "logs/worker.log").unlink(missing_ok=True)
    house.main_process("worker").kill()
    house.wait_for("worker.log cannot be written / 日志无法写入")
    house.wait_for("worker died")
    house.is_whole()
    house.folder.chmod(0o700)
    until(lambda: len(told(house)["worker"].deaths) == 1, "what could not be written is written when it can be")


def test_a_part_without_hope_is_given_up(house: House) -> None:
    house.start(house.part("gateway", "dies"))
    assert house.ends() == 1
    assert house.said().count("gateway died / 已退出 (exit 1: cannot read the key ring)") == 3
    assert "died 3 times" in house.said()
    assert "Traceback" not in house.said()
    house.left_nothing()


def test_a_step_that_fails_starts_nothing(house: House) -> None:
    step = Step("migrate", "Migrating", (sys.executable, "-c", "import sys; sys.exit('no such table')"))
    house.start(steps=(step,))
    assert house.ends() == 1
    assert "Migrating failed" in house.said()
    assert "no such table" in house.said()
    assert "Starting" not in house.said()
    house.left_nothing()


def test_a_signal_during_a_step_stops_it(house: House) -> None:
    waiting = f"print('begun', flush=True); import time; time.sleep(600); {str(house.folder)!r}"
    process = house.start(steps=(Step("seed", "Seeding", (sys.executable, "-c", waiting, str(house.folder))),))
    log = house.folder / "logs/seed.log"
    until(lambda: log.exists() and "begun" in log.read_text(), "the step")
    process.terminate()
    assert house.ends() == 0
    house.left_nothing()


def test_a_taken_port_is_named(house: House) -> None:
    with socket.create_server(("127.0.0.1", house.ports[1])):
        house.start()
        assert house.ends() == 2
    assert f"Port {house.ports[1]} of gateway is taken by process {os.getpid()}" in house.said()
    assert "GATEWAY_PORT=<port> make run" in house.said()
    assert "Traceback" not in house.said()


def test_two_parts_on_one_port_are_named(house: House) -> None:
    port = house.ports[1]
    house.start(house.part("worker", port=port), house.part("gateway"))
    assert house.ends() == 2
    assert f"WORKER_PORT, GATEWAY_PORT are the same port, {port}" in house.said()


def test_a_second_stack_in_the_same_folder_is_refused(house: House) -> None:
    process = house.start()
    house.wait_for("All green")
    with pytest.raises(StackError, match=f"process {process.pid}"), only_one(house.folder):
        pass


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GATEWAY_PORT", "http", "GATEWAY_PORT must be a port"),
        ("DATABASE_URL", "mysql://", "DATABASE_URL must begin"),
        ("DEMO", "yes", "DEMO must be 1 or 0"),
        ("GRAPH_URI", "bolt://there", "GRAPH_URI is set, so GRAPH_PASSWORD has to be"),
    ],
)
def test_a_setting_that_cannot_be_is_a_sentence(name: str, value: str, words: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "ops.stack"],
        cwd=settings.ROOT,
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 2
    assert answer.stderr.startswith(words)
    assert "Traceback" not in answer.stderr


def test_logs_are_written_and_turned_over(house: House) -> None:
    lines = "for n in range(60_000): print(n, 'x' * 100)\nprint('y' * 2**21)\nprint('the end')"
    house.start(steps=(Step("seed", "Seeding", (sys.executable, "-c", lines)),))
    house.wait_for("All green")
    log = house.folder / "logs/seed.log"
    assert log.read_text().endswith("the end\n")
    assert (house.folder / "logs/seed.log.1").stat().st_size <= 5_000_000
    assert "listening on" in (house.folder / "logs/gateway.log").read_text()


def test_a_group_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout
        process.stdout.readline()
        reaper.end_groups([process.pid], grace=0.2)
        assert process.wait(timeout=60) == -signal.SIGKILL
