"""The operators' pages under ``/dashboard``: who waits for a person with the live transcript, orders and after-sales
tickets that wait for a step, what goes to many, the trainers' queue, what led to what in a conversation, the picture of
the graph, and the questions that had no answer."""

from connectors.dashboard.pages import STATIC, router

__all__ = ["STATIC", "router"]
