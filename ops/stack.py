"""Starts, watches and stops the parts of the house: `python -m ops.stack`, which is what `make run` becomes.

It migrates and seeds the mall, starts every part in a process group of its own, waits until the gateway's health is
green, starts a part that dies again until it has died too often, and stops them all on Ctrl-C, SIGTERM or a closed
terminal; `ops.reaper` stops them when the supervisor itself is killed. What it knows of the parts, the gateway tells in
its health (`connectors.supervision`). Own code, because supervisor, circus and honcho neither wait for health
before they say "ready" nor leave nothing behind when they are killed.

Ports and folders come from the environment (see `settings.py`), so a second, private stack is one with another
`DATA_DIR` and other ports. `VERBOSE=1` prints the parts' logs as well as writing them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

import httpx
import psutil

import settings
from connectors.supervision import VARIABLE, WINDOW, Life, tell
from ops import reaper

TRIES = 5
"""Deaths of one part within `WINDOW` seconds after which it is given up."""


class StackError(Exception):
    """What a person has to know and do, English and Chinese. No traceback is shown for it."""


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    command: tuple[str, ...]
    host: str = ""
    port: int = 0  # none
    setting: str = ""  # that names the port
    essential: bool = False  # without it there is no house; without another part, one that can do less
    may_rest: bool = False  # it ends well where there is nothing for it to do


@dataclass(frozen=True, slots=True)
class Step:
    """A command that has to succeed before the parts start."""

    name: str
    title: str
    command: tuple[str, ...]


def house() -> tuple[Part, ...]:
    """The parts, as the settings say. Raises ValueError for a setting that cannot be."""
    app, rasa = (str(settings.ROOT / ".venvs" / name / "bin" / "python") for name in ("app", "rasa"))
    return (
        *((graph(),) if settings.graph_is_embedded() else ()),
        sync(),
        *((live(),) if settings.demo_lives() else ()),
        Part("actions", (app, "-m", "bot.actions"), settings.sanic_host(), settings.actions_port(), "ACTIONS_PORT"),
        Part("bot", (rasa, "-m", "bot", "serve"), settings.sanic_host(), settings.bot_port(), "BOT_PORT"),
        Part("gateway", (app, "-m", "connectors"), settings.bind_host(), settings.gateway_port(), "GATEWAY_PORT", True),
    )


def graph() -> Part:
    """The embedded graph. Its port speaks Bolt, not HTTP: :func:`connectors.health.bolt_answers` asks it."""
    app = str(settings.ROOT / ".venvs/app/bin/python")
    return Part("graph", (app, "-m", "knowledge_graph", "serve"), settings.HOST, settings.graph_port(), "GRAPH_PORT")


def sync() -> Part:
    """Keeps the graph in step with the mall and with the files of answers; nobody waits for it."""
    return Part("sync", (str(settings.ROOT / ".venvs/app/bin/python"), "-m", "knowledge_graph", "sync", "--keep"))


def live() -> Part:
    """Lets the demo mall live on; in a shop without it, it ends at once."""
    return Part("live", (str(settings.ROOT / ".venvs/app/bin/python"), "-m", "mall_adapter", "live"), may_rest=True)


STEPS = (
    Step("migrate", "Migrating the database / 更新数据库", (sys.executable, "-m", "mall_adapter", "migrate")),
    Step(
        "seed",
        "Looking after the demo mall / 查看演示商城",
        (sys.executable, "-m", "mall_adapter", "seed", "--at-start"),
    ),
)


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[int]:
    """One stack per data folder: yields the descriptor of the lock, held until every process that has it is gone."""
    with _lock_file(data_dir) as lock:
        deadline = time.monotonic() + reaper.GRACE + 2
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                lock.seek(0)
                owner = int(lock.read() or 0)
                # after a kill -9 the reaper holds the lock until the parts are gone
                if (owner and psutil.pid_exists(owner)) or time.monotonic() > deadline:
                    raise StackError(
                        f"This folder's stack is running already (process {owner}); stop it there with Ctrl-C, or"
                        f" `kill {owner}`.\n本目录的服务已在运行（进程 {owner}），请先停止它。"
                    ) from None
                time.sleep(0.1)
        with _writing(data_dir):
            lock.truncate(0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        yield lock.fileno()


def _lock_file(data_dir: Path) -> TextIO:
    with _writing(data_dir):
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # keys and customers are in it
        return (data_dir / "stack.lock").open("a+")


@contextlib.contextmanager
def _writing(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StackError(
            f"Nothing can be written in {data_dir} ({error.strerror}): make room there, or set DATA_DIR to another"
            f" folder.\n{data_dir} 无法写入，请检查磁盘空间和权限，或用 DATA_DIR 指定其他目录。"
        ) from None


def check_ports(parts: Sequence[Part]) -> None:
    """Raises StackError for the first port that a part could not listen on."""
    parts = [part for part in parts if part.port]
    for part in parts:
        family = socket.AF_INET6 if ":" in part.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
            try:
                probe.bind((part.host, part.port))
                continue
            except OSError as error:
                taken = error.errno == errno.EADDRINUSE
                reason = f"is taken{_holder(part.port)}" if taken else f"cannot be used ({error.strerror})"
        raise StackError(
            f"Port {part.port} of {part.name} {reason}. Choose another: {part.setting}=<port> make run\n"
            f"{part.name} 的端口 {part.port} 无法使用，请换一个：{part.setting}=<端口> make run"
        )
    for port, count in Counter(part.port for part in parts).items():
        if count > 1:
            names = ", ".join(part.setting for part in parts if part.port == port)
            raise StackError(f"{names} are the same port, {port}.\n{names} 使用了同一个端口 {port}。")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listened on a moment ago."""
    probes = [socket.create_server((settings.HOST, 0)) for _ in range(count)]
    ports: list[int] = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _holder(port: int) -> str:
    """`" by process 123 (python)"`, or nothing where the system does not tell."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""


class Stopped(Exception):
    """A signal said so."""


class Supervisor:
    """Runs `steps`, then keeps `parts` alive until it is told to stop."""

    def __init__(self, parts: Sequence[Part], steps: Sequence[Step], health_url: str, data_dir: Path) -> None:
        self.parts = parts
        self.steps = steps
        self.health_url = health_url
        self.logs = data_dir / "logs"
        self._file = data_dir / "supervisor.json"
        self._lives = {part.name: Life() for part in parts}
        self._warned: set[str] = set()
        self._told = True
        self._prepared = asyncio.Event()
        self._stop = asyncio.Event()
        self._groups: set[int] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._last_line: dict[str, str] = {}

    async def run(self, lock: int) -> None:
        """Returns after a signal; raises StackError when it gives up. Leaves no process behind in either case.

        `lock` is a descriptor that the reaper keeps open until every part is gone.
        """
        self._listen()
        with _writing(self.logs):
            self.logs.mkdir(parents=True, exist_ok=True)
            tell(self._file, self._lives)
        reader, self._reaper = os.pipe()
        subprocess.Popen(  # noqa: ASYNC220 (it returns as soon as the program runs)
            [sys.executable, reaper.__file__], stdin=reader, start_new_session=True, pass_fds=(lock,)
        )
        os.close(reader)
        work = (self._prepare(), *(self._keep(part) for part in self.parts), self._watch_health(), self._signalled())
        tasks = [asyncio.create_task(one) for one in work]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        say("\nStopping / 正在停止 …")
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await self._end(*self._groups)
        if self._pumps:
            await asyncio.wait(self._pumps, timeout=1)
        os.close(self._reaper)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, Stopped):
                raise outcome

    def _listen(self) -> None:
        """To signals, also those that a shell ignores for what it starts in the background; the parts, which inherit
        what is ignored and nothing else, then begin with the defaults."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # nohup ignores it on purpose
                asyncio.get_running_loop().add_signal_handler(signum, self._stop.set)

    async def _signalled(self) -> None:
        await self._stop.wait()
        raise Stopped

    async def _prepare(self) -> None:
        for step in self.steps:
            start = time.monotonic()
            if await self._once(step.name, step.command) != 0:
                raise StackError(
                    f"{step.title} failed / 失败: {self._last_line.get(step.name, '')}\n{self.logs / step.name}.log"
                )
            said = self._last_line.get(step.name, "")
            say(f"{step.title} … {time.monotonic() - start:.0f} s" + (f"\n  {said}" if said else ""))
        say(f"Starting {', '.join(part.name for part in self.parts)} / 正在启动 (logs / 日志: {self.logs})")
        self._prepared.set()

    async def _keep(self, part: Part) -> None:
        """Starts the part, and again whenever it dies, until it has died too often."""
        await self._prepared.wait()
        life = self._lives[part.name]
        while True:
            life.running = True
            self._tell()
            code = await self._once(part.name, part.command)
            life.running = False
            if code == 0 and part.may_rest:
                self._tell()
                return
            life.deaths = [*life.deaths[-TRIES:], time.time()]
            deaths = life.lately()
            life.given_up = deaths >= TRIES
            self._tell()
            how = f"signal {-code}" if code < 0 else f"exit {code}: {self._last_line.get(part.name, '')}"
            story = f"{part.name} died / 已退出 ({how})"
            if life.given_up:
                log = self.logs / f"{part.name}.log"
                story += (
                    f"\nIt died {deaths} times within {WINDOW / 60:g} minutes and is given up; see {log}\n"
                    f"{part.name} 在 {WINDOW / 60:g} 分钟内退出 {deaths} 次，已放弃；请查看日志。"
                )
                if part.essential:
                    raise StackError(story)
                say(
                    f"{story}\nThe other parts go on; start again when it is mended."
                    " / 其他部分继续运行；修好后请重新启动。"
                )
                return
            pause = 0.25 * 2**deaths
            say(f"{story}\n  starting it again in {pause:g} s / {pause:g} 秒后重新启动")
            await asyncio.sleep(pause)

    def _tell(self) -> None:
        """The gateway; where nothing can be written, the next look at the health tries again."""
        try:
            tell(self._file, self._lives)
            self._told = True
        except OSError:
            self._told = False

    async def _once(self, name: str, command: Sequence[str]) -> int:
        """Runs a command in its own process group until it and its children are gone; returns its exit status."""
        # a pipe of our own: asyncio's would make wait() last until the part's workers, too, have closed it
        reader, writer = os.pipe()
        pump = asyncio.create_task(self._pump(name, reader))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=settings.ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", VARIABLE: str(self._file)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                start_new_session=True,
            )
        finally:
            os.close(writer)
        self._groups.add(process.pid)
        self._tell_reaper("+", process.pid)
        code = await process.wait()
        await self._end(process.pid, grace=1)  # workers that outlived it would keep its port
        await asyncio.wait((pump,), timeout=1)
        return code

    async def _end(self, *groups: int, grace: float = reaper.GRACE) -> None:
        await asyncio.to_thread(reaper.end_groups, groups, grace)
        for group in groups:
            self._groups.discard(group)
            self._tell_reaper("-", group)

    def _tell_reaper(self, sign: str, group: int) -> None:
        with contextlib.suppress(BrokenPipeError):  # somebody killed it; the orderly ways to stop still work
            os.write(self._reaper, f"{sign}{group}\n".encode())

    async def _pump(self, name: str, reader: int) -> None:
        """Copies what a part prints to its log. It always reads: a part that nobody reads stands still."""
        log = _Log(self.logs / f"{name}.log")
        async for line in _lines(reader):
            log.handle(logging.makeLogRecord({"msg": line}))
            self._last_line[name] = line or self._last_line.get(name, "")
            if os.environ.get("VERBOSE"):
                say(f"{name:8} | {line}")
        with contextlib.suppress(OSError):
            log.close()

    async def _watch_health(self) -> None:
        """Tells what is being waited for, and when everything is green that was not given up."""
        await self._prepared.wait()
        start = time.monotonic()
        told: tuple[list[str], list[str]] | None = None
        announced = False
        # no proxy of the environment between us and ourselves
        async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
            while True:
                given_up = [name for name, life in self._lives.items() if life.given_up]
                ailing = [name for name in await self._ailing(client) if name not in given_up]
                if not self._told:
                    self._tell()
                if (ailing, given_up) != told:
                    if ailing:
                        say(f"  waiting for {', '.join(ailing)} / 等待中 …")
                    else:
                        what, how = "All green", "全部就绪"
                        if given_up:
                            what, how = f"Ready without {', '.join(given_up)}", f"已就绪，缺 {', '.join(given_up)}"
                        say(f"{what} after {time.monotonic() - start:.0f} s / {how}")
                        if not announced:
                            announced = True
                            self._announce()
                    told = ailing, given_up
                if not ailing:
                    start = time.monotonic()
                await asyncio.sleep(2 if not ailing else 0.25)

    async def _ailing(self, client: httpx.AsyncClient) -> list[str]:
        """Names of the parts that are not well, as the gateway sees them; all of them while it does not answer."""
        try:
            answer = await client.get(self.health_url)
            health = answer.json()
            self._warn({each["text"] for each in health.get("warnings", ()) if each["part"] not in self._lives})
            if answer.status_code == 200:
                return []
            parts: dict[str, str] = health["parts"]
            return sorted(name for name, state in parts.items() if state not in ("ok", "off"))
        except (httpx.HTTPError, ValueError, LookupError, AttributeError, TypeError):
            return [part.name for part in self.parts if part.port]

    def _warn(self, texts: set[str]) -> None:
        """Tells once what goes wrong while everything runs: rules that cannot be read, a disk that is almost full."""
        for text in sorted(texts - self._warned):
            say(f"! {text}")
        self._warned = texts

    def _announce(self) -> None:
        address = self.health_url.removesuffix("/healthz")
        say(
            f"\n  web chat / 网页聊天   {address}/\n  health / 健康检查     {self.health_url}\n"
            "\nCtrl-C stops everything / 按 Ctrl-C 全部停止"
        )


class _Log(RotatingFileHandler):
    """5 MB at most and two older ones. Where they cannot be written, that is said once and the lines are lost."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=5_000_000, backupCount=2, encoding="utf-8", delay=True)
        self._said = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._said:
            self._said = True
            say(f"{self.baseFilename} cannot be written / 日志无法写入: {sys.exc_info()[1]}")


async def _lines(reader: int) -> AsyncIterator[str]:
    """Lines from a pipe until it is closed at the other end."""
    stream = asyncio.StreamReader(limit=2**20)
    pipe = os.fdopen(reader, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than the limit: the reader has dropped it
            continue
        if not line:
            return
        yield line.decode(errors="replace").rstrip()


def say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone, and there is still work to do
        print(text, flush=True)


def supervise(parts: Sequence[Part], steps: Sequence[Step], health_url: str, data_dir: Path) -> int:
    """Exit status: 0 stopped as asked, 1 gave up, 2 could not start."""
    try:
        with only_one(data_dir) as lock:
            check_ports(parts)
            try:
                asyncio.run(Supervisor(parts, steps, health_url, data_dir).run(lock))
            except StackError as error:
                print(f"\n{error}", file=sys.stderr)
                return 1
    except StackError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def main() -> int:
    try:
        parts = house()
        settings.database_url()
        settings.demo()
        settings.graph_password()
        settings.trusted_proxies()
        settings.redis_url()
        settings.api_key()
        settings.house_token()
    except ValueError as error:
        print(f"{error}\n设置有误，请修改后重试。", file=sys.stderr)
        return 2
    gateway = parts[-1]
    host = settings.HOST if gateway.host in ("0.0.0.0", "::") else gateway.host  # noqa: S104
    return supervise(parts, STEPS, f"http://{host}:{gateway.port}/healthz", settings.data_dir())


if __name__ == "__main__":
    sys.exit(main())
