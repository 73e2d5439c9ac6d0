"""What Prometheus reads at ``/metrics``; ``ops/grafana/zhanggui.json`` draws it.

Counts of turns are this process's own, and are added up over all of them. What waits is everybody's, and each gateway
tells it alike. Nothing tells of a customer. Read by this machine's own programs, or with ``METRICS_TOKEN``.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.datastructures import Headers

import settings
from connectors.callers import Callers
from connectors.health import Health
from storage import inbox, outbox
from storage.outbox import Depth


class Snapshot(Collector):
    """What was found at one moment."""

    def __init__(
        self, queues: Mapping[str, Sequence[Depth]], parts: Mapping[str, str], warnings: int, now: datetime
    ) -> None:
        self._queues = queues
        self._parts = parts
        self._warnings = warnings
        self._now = now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["queue", "channel", "state"]
        messages = GaugeMetricFamily("zhanggui_queue_messages", "Messages that are not settled well", labels=labels)
        oldest = GaugeMetricFamily("zhanggui_queue_oldest_seconds", "Since the first of them was due", labels=labels)
        for queue, depths in self._queues.items():
            for depth in depths:
                names = [queue, depth.channel, depth.state]
                messages.add_metric(names, depth.messages)
                oldest.add_metric(names, max((self._now - depth.due).total_seconds(), 0))
        up = GaugeMetricFamily("zhanggui_up", "Whether a part that is on does its work", labels=["part"])
        for part, state in self._parts.items():
            if state != "off":
                up.add_metric([part], state == "ok")
        yield from (messages, oldest, up)
        yield GaugeMetricFamily("zhanggui_warnings", "What an operator should look at", value=self._warnings)


def router(callers: Callers, engine: AsyncEngine | None = None, health: Health | None = None) -> APIRouter:
    """The door. Without an engine and a health only what this process has counted."""
    token = settings.metrics_token()

    def may_read(request: Request) -> bool:
        if callers.at_home(request.scope):
            return True
        scheme, _, given = Headers(scope=request.scope).get("Authorization", "").partition(" ")
        same = token is not None and hmac.compare_digest(given.strip().encode("latin-1"), token.encode())
        return same and scheme.lower() == "bearer"

    doors = APIRouter()

    @doors.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        if not may_read(request):
            raise HTTPException(404)  # strangers are not even told that it is there
        text = generate_latest(REGISTRY)
        if engine is not None and health is not None:
            now = CollectorRegistry()
            now.register(await _look(engine, health))
            text += generate_latest(now)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})

    return doors


async def _look(engine: AsyncEngine, health: Health) -> Snapshot:
    report = await health.report()
    queues: dict[str, Sequence[Depth]] = {}
    try:
        async with AsyncSession(engine) as session:
            queues = {"inbox": await inbox.depths(session), "outbox": await outbox.depths(session)}
    except (SQLAlchemyError, OSError):
        pass  # the health says that the database is down
    return Snapshot(queues, report.parts, len(report.warnings), datetime.now(UTC))
