"""``python -m connectors`` serves the gateway; ``python -m connectors chat`` talks to a running one.

``python -m connectors worker`` does the gateway's work on messages in a process of its own; any number may run. With
``METRICS_PORT`` it tells Prometheus what it has done.
``python -m connectors wechat …`` and the like are commands of a channel.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys

import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

import settings
from connectors import metrics, terminal
from connectors.background import Background
from connectors.bot_client import BotClient
from connectors.callers import Callers
from connectors.channels import Channels, named_packages
from connectors.gateway import create_app
from connectors.words import WORDS
from mall_adapter import Desk
from privacy import KeyRing, KeyRingError, verify_keyring
from storage import WRITES, create_engine


async def _check() -> KeyRing:
    """The key ring that fits the database."""
    engine = create_engine(settings.database_url())
    try:
        async with engine.execution_options(**WRITES).begin() as connection:
            return await connection.run_sync(verify_keyring)
    finally:
        await engine.dispose()


def _ring() -> KeyRing:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it reports every request
    try:
        return asyncio.run(_check())
    except KeyRingError as error:
        sys.exit(str(error))
    except (SQLAlchemyError, OSError) as error:
        sys.exit(
            f"The database does not answer, or `python -m mall_adapter migrate` was not run: {type(error).__name__}"
        )


def serve() -> None:
    ring = _ring()
    try:
        app = create_app(ring, create_engine(settings.database_url()))
    except ValueError as error:  # a setting that cannot be
        sys.exit(str(error))
    gc.collect()
    gc.freeze()  # what is loaded stays: to walk through it again would stop every turn for half a second
    # uvicorn stops gently on SIGTERM and then raises it again
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        app,
        host=settings.bind_host(),
        port=settings.gateway_port(),
        access_log=False,
        ws="none",  # there are none, and uvicorn answers some broken ones with 500
        proxy_headers=False,  # the app itself knows whom to trust
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=10,
    )


async def _work(ring: KeyRing) -> None:
    """Until SIGTERM or SIGINT."""
    engine = create_engine(settings.database_url())
    bot = BotClient(settings.rasa_urls())
    channels = Channels(engine, ring, bot, Desk(engine, settings.desk_hours()))
    background, stopped = Background(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    channels.start(background)
    if port := settings.metrics_port():
        background.start(WORDS.tasks["metrics"], lambda: _tell_metrics(port))
    await stopped.wait()
    await background.close()
    await channels.close()
    await bot.aclose()
    await engine.dispose()


async def _tell_metrics(port: int) -> None:
    """Of a worker of its own, until cancelled."""
    app = FastAPI(openapi_url=None)
    app.include_router(metrics.router(Callers.from_settings()))
    config = uvicorn.Config(app, host=settings.bind_host(), port=port, access_log=False, ws="none", log_config=None)
    await uvicorn.Server(config).serve()


def work() -> None:
    ring = _ring()
    try:
        asyncio.run(_work(ring))
    except ValueError as error:  # a setting that cannot be
        sys.exit(str(error))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m connectors", description=__doc__)
    of_channels = {name: package.main for name, package in named_packages().items() if hasattr(package, "main")}
    own = {"serve": serve, "chat": terminal.chat, "worker": work}
    parser.add_argument("command", nargs="?", choices=[*own, *of_channels], default="serve")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of a channel's command")
    given = parser.parse_args()
    if given.command in own:
        own[given.command]()
    else:
        sys.exit(of_channels[given.command](given.arguments))


if __name__ == "__main__":
    main()
