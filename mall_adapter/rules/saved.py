"""A file of rules in a running house: what stands in it, or what last stood there while it is broken.

Every good file is kept below ``DATA_DIR/rules``, so that a slip of the pen stops neither a running house nor one that
starts again: customers are served by the rules of before, and operators are told.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Generic, Protocol, TypeVar

import settings
from mall_adapter.rules.faults import BrokenRules
from mall_adapter.rules.sheet import read

logger = logging.getLogger(__name__)

WATCH_SECONDS = 2.0
"""What is saved decides the next request within this time and that of its proof, about a second."""


class Rules(Protocol):
    """Made from what stands in a file. Both raise :class:`BrokenRules`."""

    def __init__(self, content: str, file: str = "") -> None: ...
    def take(self, content: str, file: str = "") -> None:
        """Decides by this from now on, or goes on as before."""


AnyRules = TypeVar("AnyRules", bound=Rules)


class RulesFile(Generic[AnyRules]):
    """``now`` decides, None while there never was a good file; ``broken`` is what is wrong with the file now.

    ``title``: what operators call them, Chinese and English; ``kept``: under which name the last good one is kept.
    """

    def __init__(self, kind: type[AnyRules], file: Callable[[], Path], kept: str, title: tuple[str, str]) -> None:
        self._kind, self._file, self.kept, self.title = kind, file, kept, title
        self.now: AnyRules | None = None
        self.broken: BrokenRules | None = None
        self._seen: object = None

    @property
    def path(self) -> Path:
        return self._file()

    def read(self, path: Path) -> AnyRules:
        """Raises BrokenRules."""
        return self._kind(read(path), path.name)

    def load(self) -> AnyRules:
        """What decides now. Raises BrokenRules where there never was a good file."""
        try:
            return self.read(self.path)
        except BrokenRules as error:
            try:
                return self.read(settings.kept_rules_file(self.kept))
            except BrokenRules:
                raise error from None

    def look(self) -> None:
        """Takes the file as it is now; slow where it has changed, so ask for it in a thread."""
        file = self.path
        if (seen := _signature(file)) == self._seen:
            return
        self._seen = seen
        try:
            content = read(file)
            if self.now is None:
                self.now = self._kind(content, file.name)
            else:
                self.now.take(content, file.name)
        except BrokenRules as error:
            if self.now is None:
                with suppress(BrokenRules):
                    self.now = self.read(settings.kept_rules_file(self.kept))
            self.broken = error
            if self.now:
                logger.error("the last good rules go on / 仍按上一份好的规则办理\n%s", error)
            return
        if self.broken:
            logger.info("%s is good again / 规则已恢复正常", file.name)
        self.broken = None
        _keep(content, settings.kept_rules_file(self.kept))

    async def watch(self, seconds: float = WATCH_SECONDS) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(seconds)

    def good(self) -> AnyRules:
        """After a look. Raises BrokenRules where there never was a good file."""
        if self.now is None:
            raise self.broken or AssertionError("nobody has looked")
        return self.now

    def warning(self) -> str | None:
        """For the health: that the file is broken, in one sentence that quotes nothing of it."""
        if self.broken is None:
            return None
        count, name = len(self.broken.faults), self.broken.file
        chinese, english = ("仍按上一份好的规则办理", "the last good ones go on")
        if self.now is None:
            chinese, english = "又没有好的备份，现在不能办理", "there is no good copy, so nothing can be decided"
        return (
            f"{self.title[0]} {name} 有 {count} 处错误，{chinese}；运行 make rules-check 查看 / "
            f"{self.title[1]} in {name} have {count} fault(s), and {english}: see make rules-check"
        )


def _signature(path: Path) -> object:
    try:
        stat = path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
    except (OSError, ValueError) as error:
        return type(error)


def _keep(content: str, path: Path) -> None:
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == content:
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".", delete=False) as new:
            new.write(content)
        os.replace(new.name, path)  # noqa: PTH105 (there is an old copy or a new one, never a part)
    except (OSError, UnicodeError) as error:
        logger.warning("no copy of the good rules could be kept / 没能备份规则: %s", type(error).__name__)
