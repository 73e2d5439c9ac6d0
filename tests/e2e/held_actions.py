"""A wire between the bot and its actions on which a test can stop a turn at a certain place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads

import settings

SECONDS = 60


class Held:
    """One stop: ``reached`` when the turn stands there, ``release`` to let it go on."""

    def __init__(self, action: str, moment: str) -> None:
        self.action, self.moment = action, moment
        self._reached, self._release = threading.Event(), threading.Event()

    def wait(self) -> None:
        assert self._reached.wait(SECONDS), f"{self.action} was never called"

    def release(self) -> None:
        self._release.set()

    def stand(self) -> None:
        self._reached.set()
        self._release.wait(SECONDS)


class HeldActions:
    """Forwards to the action server; ``hold(action, "before"|"after")`` stops the next call of that action there."""

    def __init__(self) -> None:
        self._port = 0
        self._held: Held | None = None
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._forward(self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self) -> None:
                self._forward(b"")

            def _forward(self, body: bytes) -> None:
                held = wire._take(loads(body).get("next_action")) if body else None
                if held and held.moment == "before":
                    held.stand()
                status, answer = 502, b"{}"
                connection = HTTPConnection(settings.HOST, wire._port, timeout=SECONDS)
                try:
                    headers = {"Content-Type": "application/json", "Authorization": self.headers["Authorization"]}
                    connection.request(self.command, self.path, body, headers)
                    response = connection.getresponse()
                    status, answer = response.status, response.read()
                except OSError:
                    pass  # the action server is away: what a proxy says then
                finally:
                    connection.close()
                if held and held.moment == "after":
                    held.stand()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    self.close_connection = True  # the bot was killed while it waited

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((settings.HOST, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{settings.HOST}:{self._server.server_port}"

    def forward_to(self, port: int) -> None:
        self._port = port

    def _take(self, action: str | None) -> Held | None:
        held = self._held
        if held is None or held.action != action:
            return None
        self._held = None
        return held

    @contextmanager
    def hold(self, action: str, moment: str) -> Iterator[Held]:
        held = self._held = Held(action, moment)
        try:
            yield held
        finally:
            self._held = None
            held.release()

    def __enter__(self) -> HeldActions:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
