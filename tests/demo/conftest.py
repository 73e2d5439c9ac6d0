"""The databases of the mall's tests, with its small mall in them."""

from tests.databases import databases, house
from tests.mall_adapter.conftest import engine, migrated, url

__all__ = ["databases", "engine", "house", "migrated", "url"]
