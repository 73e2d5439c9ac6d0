"""The embedded graph, a process of the house: ArcadeDB, which speaks Bolt to the official Neo4j driver.

A process of its own, because its JVM neither shares an interpreter's signals nor lets it go. What is committed
survives `kill -9`.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import settings

DATABASE = "mall"
STOP = (signal.SIGTERM, signal.SIGINT)

HEAP = "2g"
"""The most that the JVM may take; ``ARCADEDB_JVM_ARGS`` adds to its command line."""

LONGEST_MS = 15_000
"""A statement that takes longer is stopped: the server does not notice that its client has given up on it."""

AT_ONCE = 64
"""Statements that may run side by side; with ArcadeDB's four, four slow ones would stop the house."""


class ServerError(Exception):
    """One sentence for a person, English and Chinese, that says what to do."""


def serve() -> None:
    """Serves until SIGTERM or Ctrl-C, then ends the process. Raises ServerError."""
    if not settings.graph_is_embedded():
        raise ServerError(
            "GRAPH_URI names a graph, so no embedded one is started. / 已设置 GRAPH_URI，无需启动内嵌图数据库。"
        )
    port, folder, password = settings.graph_port(), settings.graph_dir(), settings.graph_password()
    _check_port(port)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = _told_to_stop()
    server = _start(folder, port, password)
    print(f"\nThe graph answers on {settings.HOST}:{port}", flush=True)
    os.read(told, 1)
    server.stop()
    os._exit(0)  # the JVM's threads would keep the interpreter alive


def _told_to_stop() -> int:
    """A pipe that can be read from once a signal of STOP has come, whichever thread the kernel gave it to: those of the
    JVM, which is told to leave signals alone, do not run Python's handlers."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    for signum in STOP:
        signal.signal(signum, lambda *_: None)
    return told


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((settings.HOST, port))
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise ServerError(
                f"Port {port} of the graph {reason}; choose another with GRAPH_PORT."
                f" / 图数据库的端口 {port} 无法使用，请用 GRAPH_PORT 换一个。"
            ) from None


def _start(folder: Path, port: int, password: str) -> Any:
    """The running server, with its database there and its password tried."""
    os.chdir(folder)  # where the JVM writes ./log
    from arcadedb_embedded.core import DatabaseFactory
    from arcadedb_embedded.exceptions import (
        ArcadeDBError,
    )  # here, because it takes a while and only this command needs it
    from arcadedb_embedded.server import ArcadeDBServer

    config = {
        "mode": "production",
        "host": settings.HOST,
        "http_port": 0,  # it insists on one; nobody is told which
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
        "bolt.port": port,
        "bolt.defaultDatabase": DATABASE,
    }
    # these two hold for the whole JVM and are not heard among the server's own settings
    limits = [f"-Darcadedb.command.timeout={LONGEST_MS}", f"-Darcadedb.queryMaxConcurrent={AT_ONCE}"]
    jvm = {"heap_size": HEAP, "jvm_args": ["-Xrs", *limits]}
    try:
        database = DatabaseFactory(str(folder / "databases" / DATABASE), jvm)
        if not database.exists():
            database.create().close()  # before the server opens its port: who comes early shall find it
        server = ArcadeDBServer(str(folder), password, config, jvm)
        server.start()
    except ArcadeDBError as error:
        locked = "locked" in str(error).lower()
        reason = "another process uses its folder" if locked else str(error).splitlines()[0]
        _leave(f"The graph does not start: {reason} ({folder}). / 图数据库无法启动，请检查是否已有进程在使用该目录。")
    if not _fits(server, password):
        server.stop()
        _leave(
            f"The graph in {folder} has another password than {settings.data_dir() / 'graph_password'}, or"
            " GRAPH_PASSWORD, says: bring the old one back. / 图数据库的密码与现有数据不符，请恢复原来的密码文件。"
        )
    return server


def _fits(server: Any, password: str) -> bool:
    """A graph that is older than its password file keeps the password it was made with."""
    from jpype import JClass

    try:
        server._java_server.getSecurity().authenticate("root", password, None)
    except JClass("com.arcadedb.server.security.ServerSecurityException"):
        return False
    return True


def _leave(sentence: str) -> None:
    """As ``sys.exit``, for a process that a JVM lives in."""
    print(f"\n{sentence}", file=sys.stderr, flush=True)  # the JVM leaves its last line open
    os._exit(1)
