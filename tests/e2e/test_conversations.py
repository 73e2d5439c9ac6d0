"""Every conversation of the files beside this one, played side by side against one stack."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

import settings
from storage import create_engine
from tests.e2e.conversation import Conversation, play_all, read_conversations
from tests.stack import Stack


@pytest.fixture(scope="module")
def complaints(request: pytest.FixtureRequest, stack: Stack) -> dict[str, str]:
    """What went wrong, by conversation; all that were selected are played at once."""
    chosen = [
        cast(Conversation, item.callspec.params["conversation"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
    ]

    async def played() -> dict[str, str]:
        engine = create_engine(settings.database_url())
        try:
            return await play_all(chosen, stack.url, engine)
        finally:
            await engine.dispose()

    return asyncio.run(played())


@pytest.mark.parametrize("conversation", [pytest.param(c, id=c.id) for c in read_conversations()])
def test_conversation(conversation: Conversation, complaints: dict[str, str]) -> None:
    if conversation.id in complaints:
        pytest.fail(complaints[conversation.id], pytrace=False)
