"""The after-sales rules of a running house: those in the file, or the last good ones while the file is broken.

Every good file is kept as ``DATA_DIR/rules/after_sales.json``, so that a slip of the pen stops neither a running house
nor one that starts again: customers are served by the rules of before, and operators are told.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import settings
from mall_adapter.policy import AfterSalesPolicy
from mall_adapter.rules import BrokenRules, read

logger = logging.getLogger(__name__)

WATCH_SECONDS = 2.0
"""What is saved decides the next request within this time and that of its proof, about a second."""


class HouseRules:
    """``policy`` decides, None while there never was a good file; ``broken`` is what is wrong with the file now."""

    def __init__(self) -> None:
        self.policy: AfterSalesPolicy | None = None
        self.broken: BrokenRules | None = None
        self._seen: object = None

    def look(self) -> None:
        """Takes the file as it is now; slow where it has changed, so ask for it in a thread."""
        file = settings.rules_file()
        if (seen := _signature(file)) == self._seen:
            return
        self._seen = seen
        try:
            content = read(file)
            if self.policy is None:
                self.policy = AfterSalesPolicy(content, file.name)
            else:
                self.policy.take(content, file.name)
        except BrokenRules as error:
            if self.policy is None:
                with suppress(BrokenRules):
                    self.policy = AfterSalesPolicy.load(settings.kept_rules_file())
            self.broken = error
            if self.policy:
                logger.error("the last good rules go on / 仍按上一份好的规则办理\n%s", error)
            return
        if self.broken:
            logger.info("%s is good again / 规则已恢复正常", file.name)
        self.broken = None
        _keep(content, settings.kept_rules_file())

    async def watch(self, seconds: float = WATCH_SECONDS) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(seconds)

    async def warnings(self) -> list[str]:
        """For the health: that the file is broken, in one sentence."""
        if self.broken is None:
            return []
        count, name = len(self.broken.faults), self.broken.file
        chinese, english = ("仍按上一份好的规则办理", "the last good ones go on")
        if self.policy is None:
            chinese, english = "又没有好的备份，现在不能办售后", "there is no good copy, so no request can be decided"
        return [
            f"售后规则 {name} 有 {count} 处错误，{chinese}；运行 make rules-check 查看 / "
            f"the after-sales rules in {name} have {count} fault(s), and {english}: see make rules-check"
        ]


def house_policy() -> AfterSalesPolicy:
    """The rules by which the house decides now. Raises BrokenRules where there never was a good file."""
    try:
        return AfterSalesPolicy.load()
    except BrokenRules as error:
        try:
            return AfterSalesPolicy.load(settings.kept_rules_file())
        except BrokenRules:
            raise error from None


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
