"""``python -m bot.actions``: the action server, on loopback."""

from __future__ import annotations

import asyncio
import os
import sys

from rasa_sdk.endpoint import run

import settings
from bot.actions.executor import Executor
from mall_adapter import BrokenLimits, BrokenRules, open_mall
from privacy import KeyRingError


async def check_mall() -> None:
    """Raises KeyRingError, BrokenRules or BrokenLimits before the first customer would meet it."""
    async with open_mall():
        pass


def main() -> None:
    os.environ["SANIC_HOST"] = settings.HOST
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one question is too small to be shared
    executor = Executor()
    executor.register_package("bot.actions")
    run(executor, port=settings.actions_port())


if __name__ == "__main__":
    try:
        asyncio.run(check_mall())
    except (KeyRingError, BrokenRules, BrokenLimits) as error:
        sys.exit(f"actions: {error}")
    main()
