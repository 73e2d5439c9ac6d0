"""The operators' pages under ``/dashboard``: who waits for a person, the live transcript, and the trainers' queue."""

from connectors.dashboard.pages import STATIC, router

__all__ = ["STATIC", "router"]
