"""The action server as the house runs it: rasa-sdk's, closed to everybody else."""

from __future__ import annotations

from functools import partial
from typing import Any

from rasa_sdk.endpoint import create_app_for_serve
from rasa_sdk.executor import ActionExecutor
from rasa_sdk.utils import number_of_sanic_workers
from sanic import Sanic
from sanic.worker.loader import AppLoader

import settings
from bot import door


def closed_app(executor: ActionExecutor) -> Sanic[Any, Any]:
    """Made anew in each worker process, so that none is without a door."""
    app: Sanic[Any, Any] = create_app_for_serve(
        executor, cors_origins=[]
    )  # as it comes, pages of every site may read it
    door.close(app)
    return app


def serve(executor: ActionExecutor, port: int) -> None:
    """Until SIGTERM: ``rasa_sdk.endpoint.run`` has no room for a door."""
    loader = AppLoader(factory=partial(closed_app, executor))
    app = loader.load()
    app.prepare(host=settings.sanic_host(), port=port, workers=number_of_sanic_workers())
    Sanic.serve(primary=app, app_loader=loader)
