"""Is everything up that a customer needs, and what does an operator have to know?

Whoever can tell adds a check: ``health.add("knowledge", check)``. It returns sentences about what goes wrong while the
part does its work, Chinese first (``"第 3 行读不出来 / row 3 cannot be read"``), none where all is well; a part is
down when its check raises. The dashboard shows both at the top of every page.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors import supervision
from connectors.bot_client import HEALTH_SECONDS, BotClient
from privacy import KeyRing

PATIENCE = 3.0
"""Seconds for each part; they are asked side by side."""

BOLT = bytes.fromhex("6060b017 00000404 00000000 00000000 00000000")
"""What a client of the graph says first: the protocol's name, and version 4.4 as the one it would like to speak."""

PROBE_BYTES = 64 * 1024
SCARCE_BYTES = 200 * 10**6
"""What is written to see whether it can be, and how little room is worth a warning."""

WARNINGS = {
    "no_model": "模型文件不见了，重启后机器人无法工作，请运行 make train /"
    " the trained model is gone: it works until it is started again; run make train",
    "no_encoder": "语义模型不可用，只按字词理解顾客 /"
    " customers are understood by words alone, the encoder cannot be used",
    "some_away": "其中有几个不应答，其余的在顶着 / some of them do not answer, the others do their work",
}
"""What the bot warns of, in words."""

UNLEARNED = (
    "检索模型不见了，答案会找得不准，请运行 make train /"
    " what was learned about finding answers is gone: fewer will be found; run make train"
)

Check = Callable[[], Awaitable[Iterable[str]]]


class Down(Exception):
    """A part does not do its work. The text is for the log: strangers read the health, too."""


@dataclass(frozen=True, slots=True)
class Warned:
    part: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    parts: dict[str, str]
    """``ok``, ``down`` or ``off``."""

    warnings: list[Warned]

    @property
    def status(self) -> str:
        return "degraded" if "down" in self.parts.values() else "ok"


class Health:
    def __init__(self, bot: BotClient, http: httpx.AsyncClient, engine: AsyncEngine) -> None:
        self._bot = bot
        self._http = http
        self._engine = engine
        self._headers = settings.house_headers()
        self.off: Collection[str] = ()  # channels without credentials; off is no fault
        self._file = _file_of(engine)
        self._inode = self._file.stat().st_ino if self._file and self._file.exists() else None
        self._checks: dict[str, Check] = {
            "bot": self._bot_answers,
            "actions": self._actions,
            "database": self._database,
            "graph": _graph,
            "data": _data,
            "keyring": _keyring,
        }
        if supervision.VARIABLE in os.environ:  # then what was learned is on this machine
            self._checks["answers"] = _answers

    def add(self, part: str, check: Check) -> None:
        self._checks[part] = check

    async def report(self) -> Report:
        """Of every part, within ``PATIENCE`` seconds."""
        answers = await asyncio.gather(*map(_asked, self._checks.values()))
        found = dict(zip(self._checks, answers, strict=True))
        parts = {part: "down" if warned is None else "ok" for part, warned in found.items()}
        warnings = [Warned(part, each) for part, warned in found.items() for each in warned or ()]
        for part, life in _lives().items():
            if part != "gateway":  # which is alive
                parts[part] = parts.get(part, "ok") if life.running else "down"
            warnings += (Warned(part, each) for each in _told(part, life))
        return Report(parts | dict.fromkeys(self.off, "off"), warnings)

    async def _bot_answers(self) -> Iterable[str]:
        return [WARNINGS.get(each, each) for each in await self._bot.health()]

    async def _actions(self) -> Iterable[str]:
        well = await asyncio.gather(*map(self._acts, settings.actions_urls()))
        _expect(any(well))
        return () if all(well) else (WARNINGS["some_away"],)

    async def _acts(self, url: str) -> bool:
        try:
            return (await self._http.get(f"{url}/health", headers=self._headers, timeout=HEALTH_SECONDS)).is_success
        except httpx.HTTPError:
            return False

    async def _database(self) -> Iterable[str]:
        if self._file:  # open connections go on with a file that is no longer there, and what they write is lost
            _expect(self._file.stat().st_ino == self._inode and os.access(self._file, os.R_OK | os.W_OK))
        async with self._engine.connect() as connection:
            _expect((await connection.execute(text("SELECT version_num FROM alembic_version"))).first())
        return ()


async def _asked(check: Check) -> list[str] | None:
    """The warnings; None for a part that is down."""
    try:
        async with asyncio.timeout(PATIENCE):
            return list(await check())
    except Exception:  # whatever a part does instead of answering, it is down
        return None


def _expect(well: object) -> None:
    if not well:
        raise Down


def _file_of(engine: AsyncEngine) -> Path | None:
    """Of the database, where it is one."""
    name = engine.url.database
    return Path(name) if engine.url.get_backend_name() == "sqlite" and name else None


async def _graph() -> Iterable[str]:
    if settings.graph_is_embedded():  # it goes on in memory when its files are gone
        _expect(os.access(settings.graph_dir() / "databases", os.R_OK | os.W_OK))
    _expect(await bolt_answers(settings.graph_uri()))
    return ()


async def _data() -> Iterable[str]:
    free = await asyncio.to_thread(_room, settings.data_dir())
    if free < SCARCE_BYTES:
        return (f"磁盘快满了，只剩 {free // 10**6} MB / the disk is almost full, {free // 10**6} MB are left",)
    return ()


def _room(folder: Path) -> int:
    """Bytes that are free; raises OSError where nothing can be written."""
    with TemporaryFile(dir=folder) as probe:
        probe.write(bytes(PROBE_BYTES))
        probe.flush()
    return shutil.disk_usage(folder).free


async def _keyring() -> Iterable[str]:
    await asyncio.to_thread(KeyRing.load, settings.keyring_file())  # afresh: the parts go on with what they remember
    return ()


async def _answers() -> Iterable[str]:
    return () if (settings.answering_dir() / "trained.json").exists() else (UNLEARNED,)


def _lives() -> dict[str, supervision.Life]:
    try:
        return supervision.told()
    except (OSError, ValueError, TypeError):
        return {}  # the data folder is in trouble, and that is said


def _told(part: str, life: supervision.Life) -> Iterable[str]:
    if life.given_up:
        yield (
            f"连续退出 {len(life.deaths)} 次，已放弃；请查看 logs/{part}.log，修好后重新启动 /"
            f" it died {len(life.deaths)} times and was given up; see logs/{part}.log, and start the house again"
        )
    elif deaths := life.lately():
        yield (
            f"最近 {supervision.WINDOW / 60:g} 分钟内退出过 {deaths} 次，会自动重启；请查看 logs/{part}.log /"
            f" it died {deaths} times in the last {supervision.WINDOW / 60:g} minutes and is started again;"
            f" see logs/{part}.log"
        )


async def bolt_answers(uri: str) -> bool:
    """Whether a graph agrees to speak Bolt at ``uri``: the handshake needs neither a password nor a driver."""
    address = urlsplit(uri)
    context = ssl.create_default_context() if "+s" in address.scheme else None
    if context and address.scheme.endswith("+ssc"):  # a certificate that its owner signed
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(PATIENCE):
            host, port = address.hostname or settings.HOST, address.port or 7687
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                writer.write(BOLT)
                return any(await reader.readexactly(4))
            finally:
                writer.close()
    except (OSError, EOFError):  # TimeoutError is an OSError
        return False
