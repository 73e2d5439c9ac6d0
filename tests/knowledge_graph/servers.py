"""The two graphs that everything is tried on, as really started servers that can be killed."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

import settings
from knowledge_graph import Graph
from ops.stack import free_ports

HERE = Path(__file__).parent / "neo4j"
JARS = settings.ROOT / "var" / "neo4j-5.26.0"
PASSWORD = "a-password-for-tests"
PATIENCE = 120.0
"""Seconds for what takes a moment on a quiet machine."""


class NoNeo4j(Exception):
    """Why there is no Neo4j on this machine."""


class Server:
    """A graph in a folder and on a port of its own."""

    user = "root"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self.uri = f"bolt://{settings.HOST}:{self.port}"
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        return [sys.executable, "-m", "knowledge_graph", "serve"]

    def environment(self) -> dict[str, str]:
        ours = {"DATA_DIR": str(self.folder), "GRAPH_PORT": str(self.port), "GRAPH_PASSWORD": PASSWORD}
        return {name: value for name, value in os.environ.items() if name != "GRAPH_URI"} | ours

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=settings.ROOT, env=self.environment(), stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def _answers(self) -> bool:
        async def ping() -> bool:
            async with self.graph() as graph:
                return await graph.ping()

        return asyncio.run(ping())

    def graph(self, seconds: float = PATIENCE) -> Graph:
        return Graph(self.uri, self.user, PASSWORD, seconds)

    def end(self, signum: int) -> int:
        assert self.process, "it was not started"
        self.process.send_signal(signum)
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        return self.end(signal.SIGTERM)

    def freeze(self) -> None:
        """Until SIGCONT. It returns when every thread has stopped: on a busy machine one could answer once more."""
        assert self.process, "it was not started"
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def kill(self) -> None:
        self.end(signal.SIGKILL)


class Embedded(Server):
    name = "embedded"


class Neo4j(Server):
    name = "neo4j"
    user = "neo4j"

    def command(self) -> list[str]:
        heap = ["-Xmx1g", "-XX:+UseSerialGC"]
        return ["java", *heap, "-cp", f"{JARS}/*", str(HERE / "Launcher.java"), str(self.folder), str(self.port)]

    def _answers(self) -> bool:
        """The first log-in has to change the password."""
        try:
            with (
                GraphDatabase.driver(self.uri, auth=("neo4j", "neo4j")) as driver,
                driver.session(database="system") as session,
            ):
                session.run("ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $new", new=PASSWORD).consume()
        except (DriverError, Neo4jError):  # not there yet, or done before
            pass
        return super()._answers()


def fetch_neo4j() -> None:
    """Its jars, once, into var/. Raises NoNeo4j."""
    for program in ("java",) if JARS.exists() else ("java", "mvn"):
        if not shutil.which(program):
            raise NoNeo4j(f"{program} is not installed")
    JARS.parent.mkdir(parents=True, exist_ok=True)
    with JARS.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if JARS.exists():
            return
        draft = JARS.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
        try:
            subprocess.run([*command, f"-DoutputDirectory={draft}"], check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            raise NoNeo4j(f"its jars cannot be fetched: {type(error).__name__}") from error
        draft.rename(JARS)


def start(kind: type[Server], folder: Path) -> Server:
    """Raises NoNeo4j."""
    if kind is Neo4j:
        fetch_neo4j()
    server = kind(folder)
    try:
        server.start()
    except BaseException:  # nobody else would end it
        server.kill()
        raise
    return server
