"""``python -m bot serve`` runs the bot for the gateway; ``python -m bot train`` trains its model. Rasa environment.

``MODELS_DIR`` (default ``models/``) is where models are written, and where the newest is read from.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import settings

# The libraries read these when they are imported: nothing is sent anywhere, and TensorFlow keeps its chatter to itself
os.environ.update(RASA_TELEMETRY_ENABLED="false", TF_CPP_MIN_LOG_LEVEL="3", SQLALCHEMY_SILENCE_UBER_WARNING="1")
os.environ.setdefault("ACTIONS_URL", settings.actions_url())  # for bot/endpoints.yml

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

    patches.apply()
    try:
        asyncio.run(server.run(BOT / "endpoints.yml", models))
    except Exception as error:
        raise SystemExit(f"The bot does not start: {error} (python -m bot train makes a model)") from error


def train(models: Path, name: str | None) -> None:
    from rasa.api import train as train_model
    from rasa.utils.log_utils import configure_structlog

    configure_structlog(logging.INFO)
    os.environ.setdefault("RASA_CACHE_DIRECTORY", str(models / ".cache"))
    result = train_model(
        domain=str(BOT / "domain.yml"),
        config=str(BOT / "config.yml"),
        training_files=[str(BOT / "data")],
        output=str(models),
        fixed_model_name=name,
    )
    if not result.model:
        raise SystemExit("No model was trained; the messages above say why.")
    print(result.model)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bot", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the newest model until SIGTERM")
    training = commands.add_parser("train", help="train bot/data into MODELS_DIR and print the model's path")
    training.add_argument("--fixed-model-name", metavar="NAME", help="file name of the model, without .tar.gz")
    arguments = parser.parse_args()
    models = settings.ROOT / (os.environ.get("MODELS_DIR") or "models")
    # skops, which reads and writes the intent classifier, looks for 765 names in every module that is loaded before it:
    # 2 s now, 8 s after TensorFlow
    importlib.import_module("skops.io")
    if arguments.command == "serve":
        serve(models)
    else:
        train(models, arguments.fixed_model_name)


if __name__ == "__main__":
    main()
