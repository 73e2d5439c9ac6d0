"""``python -m bot serve`` runs the bot for the gateway; ``python -m bot train`` trains its model. Rasa environment.

``python -m bot interactive MODEL`` is ``rasa interactive`` on the copy of ``bot/`` in the working folder; it is started
by ``ops/interactive.py``, which makes the copy. ``python -m bot rasa …`` is Rasa's own command line, which reads YAML
faster here.

``MODELS_DIR`` (default ``models/``) is where models are written, and where the newest is read from.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import settings

# The libraries read these when they are imported: nothing is sent anywhere, and TensorFlow keeps its chatter to itself
os.environ.update(RASA_TELEMETRY_ENABLED="false", TF_CPP_MIN_LOG_LEVEL="3", SQLALCHEMY_SILENCE_UBER_WARNING="1")
os.environ["ACTION_WEBHOOKS"] = ",".join(f"{url}/webhook" for url in settings.actions_urls())  # for bot/endpoints.yml

BOT = settings.ROOT / "bot"


class WordlessFormatter(logging.Formatter):
    """Tracebacks without the text of the error: it may quote a customer."""

    def formatException(self, ei: Any) -> str:
        kind, _, trace = ei
        return "".join(traceback.format_tb(trace)) + (kind.__name__ if kind else "")


def quiet_logs() -> None:
    """Logs on standard output that say what happened, never what was said."""
    import structlog

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(WordlessFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    # By name, and warnings without a filter: libraries reset filters and the root level when they are imported
    for name, level in {"bot": logging.INFO, "rasa": logging.INFO, "py.warnings": logging.ERROR}.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    # Rasa hands on messages, entities and slots as fields of structured events; the name of the event is enough
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, lambda logger, method, event: str(event["event"])],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def serve(models: Path) -> None:
    quiet_logs()
    from bot.components import patches, server

    os.environ["HOUSE_TOKEN"] = settings.house_token()  # for bot/endpoints.yml
    patches.apply()
    try:
        asyncio.run(server.run(BOT / "endpoints.yml", models))
    except Exception as error:
        raise SystemExit(f"The bot does not start: {error} (python -m bot train makes a model)") from error


def train(models: Path, name: str | None) -> None:
    from rasa.api import train as train_model
    from rasa.utils.log_utils import configure_structlog

    from bot.components import patches

    patches.apply(patches.READING)
    configure_structlog(logging.INFO)
    result = train_model(
        domain=str(BOT / "domain.yml"),
        config=str(BOT / "config.yml"),
        training_files=[str(BOT / "data")],
        output=str(models),
        fixed_model_name=name,
        force_training=True,  # what Rasa remembers of the last training does not notice changes of lists and code
    )
    if not result.model:
        raise SystemExit("No model was trained; the messages above say why.")
    print(result.model)


def rasa(arguments: Sequence[str]) -> None:
    from rasa.__main__ import main as rasa_command

    from bot.components import patches

    os.environ["HOUSE_TOKEN"] = settings.house_token()  # for bot/endpoints.yml
    patches.apply(patches.READING)
    sys.argv[1:] = arguments
    rasa_command()


def interactive(model: Path) -> None:
    """Writes, when told to, ``lessons/*.yml`` and ``bot/domain.yml`` of the working folder."""
    from rasa.core.training import interactive as learning
    from rasa.core.training.interactive import PATHS
    from rasa.utils.endpoints import EndpointConfig
    from sanic import Sanic

    from bot import door
    from bot.components import interactive as patches

    patches.apply(Path("bot"))
    warnings.showwarning = lambda *about, **more: None  # of libraries about each other, between the lines of the chat
    run = Sanic.run

    # It opens Rasa's whole HTTP API, to the network too if left alone
    def run_for_the_house(app: Sanic, **options: Any) -> None:
        door.close(app)
        run(app, **(options | {"host": settings.HOST}))

    Sanic.run = run_for_the_house  # type: ignore[method-assign, assignment]
    learning.EndpointConfig = partial(EndpointConfig, headers=settings.house_headers())
    # A file for what is new: into one that exists already Rasa would write everything else in its own way as well
    PATHS.update(nlu="lessons/nlu.yml", stories="lessons/stories.yml")
    options = {
        "--model": str(model),
        "--port": str(settings.bot_port()),
        "--config": "bot/config.yml",
        "--domain": "bot/domain.yml",
        "--data": "bot/data",
        "--endpoints": "bot/endpoints.yml",
    }
    rasa(["interactive", "--skip-visualization", *(part for option in options.items() for part in option)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bot", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the newest model until SIGTERM")
    training = commands.add_parser("train", help="train bot/data into MODELS_DIR and print the model's path")
    training.add_argument("--fixed-model-name", metavar="NAME", help="file name of the model, without .tar.gz")
    teaching = commands.add_parser("interactive", help="rasa interactive on the bot/ of the working folder")
    teaching.add_argument("model", type=Path)
    stock = commands.add_parser("rasa", help="Rasa's own commands")
    stock.add_argument("rest", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    models = settings.ROOT / (os.environ.get("MODELS_DIR") or "models")
    if arguments.command == "serve":
        serve(models)
    elif arguments.command == "interactive":
        interactive(arguments.model)
    elif arguments.command == "rasa":
        rasa(arguments.rest)
    else:
        train(models, arguments.fixed_model_name)


if __name__ == "__main__":
    main()
