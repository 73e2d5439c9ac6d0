"""The databases of the mall's tests, with its small mall in them."""

from tests.mall_adapter.conftest import databases, engine, house, migrated, url

__all__ = ["databases", "engine", "house", "migrated", "url"]
