"""What customers send beside words: kept sealed, for the person at the service desk.

Each content is a file of its own under ``DATA_DIR/media``, sealed with AES-256-GCM under a key that only its row knows:
so a new key ring needs to seal rows anew, and no files, and a row that is gone takes what it sealed with it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.inbound import MediaKind
from connectors.tables import KeptMedia
from mall_adapter import evidence
from privacy import TamperedError, current_ring
from privacy.columns import exact_index
from privacy.conversations import conversation_of
from storage import WRITES

MOST_BYTES = 10 * 1024 * 1024
"""Of one content: larger than a telephone's picture."""

NONCE = bytes(12)
"""Each key seals one content, so nothing is ever sealed twice under it."""

PICTURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
"""What is a picture by its first bytes; of WebP they are no sign alone."""


class TooLarge(Exception):
    """More than :data:`MOST_BYTES`."""


@dataclass(frozen=True, slots=True)
class Kept:
    id: int
    kind: MediaKind
    name: str | None
    place: tuple[float, float] | None  # latitude and longitude in degrees, of a location
    has_content: bool
    received_at: datetime


def picture_type(content: bytes) -> str | None:
    """The media type of a picture that browsers show, by what is in it; None of anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in PICTURES.items() if content.startswith(start)), None)


class MediaStore:
    def __init__(self, engine: AsyncEngine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder

    async def keep(
        self,
        sender: str,
        origin: str,
        kind: MediaKind,
        content: bytes | None = None,
        *,
        name: str | None = None,
        place: tuple[float, float] | None = None,
    ) -> int:
        """The number of what is kept; of the same ``origin``, the name of a message among its sender's, it is kept
        once. Raises TooLarge."""
        if content is not None and len(content) > MOST_BYTES:
            raise TooLarge
        file, key = (secrets.token_hex(16), AESGCM.generate_key(256)) if content is not None else (None, b"")
        if file is not None and content is not None:
            await asyncio.to_thread(self._write, file, AESGCM(key).encrypt(NONCE, content, file.encode()))
        about = {"name": name, "place": place, "key": base64.b64encode(key).decode()}
        row = {
            "conversation": conversation_of(current_ring(), sender),
            "origin_index": exact_index(f"{sender} {origin}", "media.origin"),
            "kind": kind,
            "about": json.dumps(about, ensure_ascii=False),
            "file": file,
            "received_at": datetime.now(UTC),
        }
        try:
            async with AsyncSession(self._engine.execution_options(**WRITES)) as session, session.begin():
                made = await session.scalar(insert(KeptMedia).values(row).returning(KeptMedia.id))
                return int(made or 0)
        except IntegrityError:  # it is kept already
            if file is not None:
                await asyncio.to_thread((self._folder / file).unlink)
            async with AsyncSession(self._engine) as session:
                query = select(KeptMedia.id).where(KeptMedia.origin_index == row["origin_index"])
                return int(await session.scalar(query) or 0)

    async def find(self, sender: str, origin: str) -> int | None:
        """The number of what this sender has sent under this name."""
        query = select(KeptMedia.id).where(KeptMedia.origin_index == exact_index(f"{sender} {origin}", "media.origin"))
        async with AsyncSession(self._engine) as session:
            return await session.scalar(query)

    async def of_conversation(self, conversation: str, limit: int = 200) -> Sequence[Kept]:
        """What is kept of it (``privacy.conversations.conversation_of``), the latest first."""
        query = select(KeptMedia).where(KeptMedia.conversation == conversation)
        async with AsyncSession(self._engine) as session:
            rows = (await session.scalars(query.order_by(KeptMedia.id.desc()).limit(limit))).all()
        return [_kept(row) for row in rows]

    async def open(self, conversation: str, number: int) -> tuple[Kept, bytes] | None:
        """What is kept under a number, if it is of this conversation and has a content. Raises TamperedError."""
        async with AsyncSession(self._engine) as session:
            row = await session.get(KeptMedia, number)
        if row is None or row.conversation != conversation or row.file is None:
            return None
        key = base64.b64decode(json.loads(row.about)["key"])
        try:
            sealed = await asyncio.to_thread((self._folder / row.file).read_bytes)
            return _kept(row), AESGCM(key).decrypt(NONCE, sealed, row.file.encode())
        except (OSError, InvalidTag) as error:
            raise TamperedError(f"media {number} does not open: {type(error).__name__}") from None

    async def forget(self, session: AsyncSession, before: datetime, limit: int = 100) -> bool:
        """Forgets some of what came before then and nobody needs, in the caller's transaction; whether there may be
        more. The contents go first: one that is left without its row would lie there for ever."""
        old = select(KeptMedia.id, KeptMedia.file).where(
            KeptMedia.received_at < before, KeptMedia.conversation.not_in(evidence.needed())
        )
        gone = (await session.execute(old.order_by(KeptMedia.received_at).limit(limit))).all()
        for _, file in gone:
            if file is not None:
                await asyncio.to_thread((self._folder / file).unlink, missing_ok=True)
        await session.execute(delete(KeptMedia).where(KeptMedia.id.in_([number for number, _ in gone])))
        return len(gone) == limit

    def _write(self, file: str, sealed: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / file).write_bytes(sealed)


def _kept(row: KeptMedia) -> Kept:
    about = json.loads(row.about)
    place = tuple(about["place"]) if about["place"] else None
    return Kept(row.id, row.kind, about["name"], place, row.file is not None, row.received_at)  # type: ignore[arg-type]
