"""``python -m privacy`` with a graph: its questions are sealed anew, too, and keep an old key from being retired."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import settings
from knowledge_graph import Graph, gaps
from mall_adapter import open_mall
from privacy import KeyRing, KeyRingError, current_ring
from privacy.__main__ import run
from storage import migrate
from tests.knowledge_graph.servers import PASSWORD, Server


async def command(*words: str) -> str:
    with redirect_stdout(io.StringIO()) as said:
        await run(words)
    return said.getvalue()


async def test_an_old_key_is_retired_when_nothing_is_sealed_with_it(
    graph: Graph, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for name in ("DATABASE_URL", "KEYRING_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("GRAPH_URI", server.uri), ("GRAPH_USER", server.user), ("GRAPH_PASSWORD", PASSWORD)):
        monkeypatch.setenv(name, value)
    await migrate(settings.database_url())
    async with open_mall():
        pass
    await gaps.record(graph, "能送火星吗", "delivery")

    with pytest.raises(KeyRingError, match="Key 1 is still needed"):
        await command("retire", "1")
    current_ring().rotate()
    with pytest.raises(KeyRingError, match="Key 1 is still needed: 1 × the graph's questions"):
        await command("retire", "1")
    assert sorted(KeyRing.load(settings.keyring_file()).keys) == [1, 2]

    assert "An earlier rotation is finished" in await command("rotate")
    assert "`python -m privacy retire 2`" in await command("rotate")
    for version in (1, 2):
        assert f"Key {version} is gone" in await command("retire", str(version))
    assert sorted(current_ring().keys) == [3]
    assert [gap.text for gap in await gaps.most_asked(graph)] == ["能送火星吗"]
    async with open_mall():  # the house starts with what is left
        pass
    with pytest.raises(KeyRingError, match="there is no key 1"):
        await command("retire", "1")
