"""``python -m bot.actions``: the action server, on loopback and for the house only."""

from __future__ import annotations

import asyncio
import os
import sys

import settings
from bot.actions.executor import Executor
from bot.actions.server import serve
from mall_adapter import BrokenRules, open_desk, open_mall
from privacy import KeyRingError


async def check_mall() -> None:
    """Raises KeyRingError, BrokenRules, or ValueError for a setting, before the first customer would meet it."""
    async with open_mall(), open_desk():
        pass


def main() -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one question is too small to be shared
    executor = Executor()
    executor.register_package("bot.actions")
    serve(executor, settings.actions_port())


if __name__ == "__main__":
    try:
        asyncio.run(check_mall())
    except (KeyRingError, BrokenRules, ValueError) as error:
        sys.exit(f"actions: {error}")
    main()
