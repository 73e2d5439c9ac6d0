"""The page by which a customer fetches a copy of their data, and the file that they get."""

from connectors.copies.pages import STATIC, router

__all__ = ["STATIC", "router"]
