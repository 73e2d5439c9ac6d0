"""The web chat: its pages, and the cookie or token that says which visitor is speaking."""

from connectors.web.routes import STATIC, router
from connectors.web.seen import Seen
from connectors.web.visitor import Visitors

__all__ = ["STATIC", "Seen", "Visitors", "router"]
