"""The operators' pages: who waits for a person, the conversation as it goes, and what the bot did not understand.

Signed in with ``ADMIN_TOKEN``. Requests that change something must carry a header that no foreign page can send.
"""

from connectors.dashboard.routes import dashboard

__all__ = ["dashboard"]
