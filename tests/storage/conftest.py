"""What is kept, on SQLite and on a really started PostgreSQL."""

from tests.databases import Postgres, Sqlite, databases, house

__all__ = ["Postgres", "Sqlite", "databases", "house"]
