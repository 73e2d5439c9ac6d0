from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a house of its own, with neither key ring nor database."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for name in ("KEYRING_FILE", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path
