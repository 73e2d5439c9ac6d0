"""The page of a smart card, its picture and its contact, and how its visitors go on into a chat."""

from connectors.cards.pages import STATIC, router

__all__ = ["STATIC", "router"]
