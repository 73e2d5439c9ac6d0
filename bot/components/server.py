"""The bot's process: one model, two channels. Without Rasa's HTTP API: nobody on the port can read conversations."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import Any

from rasa.core.agent import Agent
from rasa.core.brokers.broker import EventBroker
from rasa.core.channels import channel
from rasa.core.lock_store import LockStore
from rasa.core.tracker_store import InMemoryTrackerStore, TrackerStore
from rasa.core.utils import AvailableEndpoints
from rasa.model import get_latest_model
from sanic import Sanic

import settings
from bot import door
from bot.components.action_server import ActionServer
from bot.components.channel import TURN_SECONDS, GatewayInput
from bot.components.desk import DeskInput

logger = logging.getLogger(__name__)

LARGEST_REQUEST_BYTES = 1_000_000
LONGEST_GOODBYE_SECONDS = 5.0


async def load_agent(endpoints_file: Path, models: Path) -> Agent:
    """The newest model of ``models`` with the stores and the action server of ``endpoints.yml``.

    Raises whatever hinders it; Rasa's own ``load_agent`` would go on without a model and answer nothing to everybody.
    """
    model = get_latest_model(str(models))
    if model is None:
        raise FileNotFoundError(f"there is no model in {models}")
    endpoints = AvailableEndpoints.read_endpoints(str(endpoints_file))
    if endpoints.action is None:
        raise ValueError(f"{endpoints_file} names no action_endpoint")
    broker = await EventBroker.create(endpoints.event_broker, loop=asyncio.get_running_loop())
    store = TrackerStore.create(endpoints.tracker_store, event_broker=broker)
    if endpoints.tracker_store is not None and isinstance(store, InMemoryTrackerStore):
        raise ValueError(f"the tracker store of {endpoints_file} cannot be loaded; Rasa would forget conversations")
    agent = Agent(
        generator=endpoints.nlg,
        lock_store=LockStore.create(endpoints.lock_store),
        action_endpoint=ActionServer(endpoints.action),
    )
    # Given to Agent, the store would be wrapped in one that goes on in memory when it fails
    agent.tracker_store = store
    agent.load_model(model)
    return agent


def make_app(agent: Agent) -> Sanic:
    """The HTTP server of ``agent``: the gateway's channel, the service desk's, and nothing else."""
    app = Sanic("bot", configure_logging=False)
    app.config.REQUEST_MAX_SIZE = LARGEST_REQUEST_BYTES
    app.config.RESPONSE_TIMEOUT = int(2 * TURN_SECONDS)  # a message may wait for the one before it
    app.ctx.agent = agent
    door.close(app)
    channel.register([GatewayInput(), DeskInput()], app, route="/webhooks/")
    return app


async def serve(agent: Agent, port: int, stop: asyncio.Event) -> None:
    """Serves until ``stop``, then lets running turns end. Raises OSError if the port is taken."""
    app = make_app(agent)
    server: Any = await app.create_server(settings.sanic_host(), port, access_log=False, return_asyncio_server=True)
    await server.startup()
    await server.start_serving()
    logger.info("the bot listens on %s:%d with %s", settings.sanic_host(), port, agent.model_name)
    await stop.wait()
    server.close()
    for _ in range(int(LONGEST_GOODBYE_SECONDS / 0.05)):
        for connection in list(server.connections):
            connection.close_if_idle()
        if not server.connections:
            break
        await asyncio.sleep(0.05)
    if isinstance(agent.action_endpoint, ActionServer):
        await agent.action_endpoint.close()


async def run(endpoints_file: Path, models: Path) -> None:
    """Loads and serves until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(await load_agent(endpoints_file, models), settings.bot_port(), stop)
