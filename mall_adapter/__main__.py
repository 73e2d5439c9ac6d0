"""``python -m mall_adapter migrate`` brings the database up to date, ``… seed`` puts the demo mall into it.

``… names`` writes the list of names by which the bot knows the goods, as ``seed`` and the running gateway do.
``… review`` lists what the bot did not understand, for trainers.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import datetime

import settings
from mall_adapter import create_engine, migrate, open_desk, open_mall
from mall_adapter.database import SHOP_TIME
from mall_adapter.names import write_names
from privacy import KeyRingError


async def _migrate() -> None:
    settings.data_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    await migrate(settings.database_url())
    async with open_mall():  # makes the key ring of a new house, checks that of an old one
        pass


async def _seed() -> None:
    from mall_adapter.demo import seed  # only this command needs what the demo is made with

    engine = create_engine(settings.database_url())
    try:
        await seed(engine, datetime.now(SHOP_TIME).date())
        await write_names(engine, settings.catalogue_file())
    finally:
        await engine.dispose()


async def _names() -> None:
    engine = create_engine(settings.database_url())
    try:
        await write_names(engine, settings.catalogue_file())
    finally:
        await engine.dispose()


async def _review() -> None:
    """What the bot did not understand, newest first."""
    async with open_desk() as desk:
        for entry in await desk.misunderstood():
            guesses = ", ".join(f"{name} {score:.2f}" for name, score in entry.guesses[:3])
            print(f"{entry.time.astimezone(SHOP_TIME):%m-%d %H:%M}  {entry.text}  ({guesses})")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mall_adapter", description=__doc__)
    commands = {"migrate": _migrate, "seed": _seed, "names": _names, "review": _review}
    parser.add_argument("command", choices=commands)
    try:
        asyncio.run(commands[parser.parse_args().command]())
    except (KeyRingError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
