"""Who acts in the mall."""

from __future__ import annotations

from storage import Actor, Role

RULES = Actor(Role.SERVICE, "rules")
"""What the house decides by itself."""

HOUSE = Actor(Role.SERVICE, "house")
"""Who lets in whoever has the house's own token."""

SHELL = Actor(Role.OPERATOR, "shell", channel="shell")
"""Whoever works at the house's own machine: the key ring and the database lie open to them anyway."""
