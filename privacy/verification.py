"""Before anything is read or written: is this the key ring with which this database was sealed?"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import inspect, select, text, update
from sqlalchemy.engine import Connection

import settings
from privacy.cipher import TamperedError, seal, unseal
from privacy.keyring import KEY_BYTES, KeyRing, KeyRingError, hold
from privacy.tables import keyring_check


def verify_keyring(connection: Connection) -> KeyRing:
    """Checks the ring of ``settings.keyring_file()`` against the database; every process does so once, at start.

    Needs a transaction that may write: ``with engine.begin() as c: verify_keyring(c)``, or in the app
    ``async with engine.begin() as c: await c.run_sync(verify_keyring)``. Makes the ring for a database that never had
    one. Raises KeyRingError for a missing, damaged, outdated or wrong ring, and before the migration. From here on the
    process counts as one that uses the ring (:func:`privacy.keyring.hold`).
    """
    ring, layers = fit(connection)
    if layers < len(ring.index_keys):
        raise KeyRingError(
            f"{ring.path}: the index key was changed, and this database has not followed yet. Stop the house and run "
            "`python -m privacy rotate-index`, which goes on where it was."
        )
    return ring


def fit(connection: Connection) -> tuple[KeyRing, int]:
    """The ring that :func:`verify_keyring` checks, and how many of its index keys the hashes of this database know."""
    if not inspect(connection).has_table(keyring_check.name):
        raise KeyRingError("The database has no tables yet. Run `python -m mall_adapter migrate`.")
    path = settings.keyring_file()
    stored = _stored(connection)
    try:
        ring = KeyRing.load_or_create(path, create=not stored)
    except KeyRingError as error:
        if stored and not path.exists():
            raise KeyRingError(
                f"{path}: the key ring is missing, but the database holds data sealed with it. Restore the file from a "
                "backup, or set KEYRING_FILE to where it is. A new ring could not open that data, so none was made."
            ) from None
        raise error
    hold(path)
    layers = _layers(ring, stored) if stored else len(ring.index_keys)
    for version in ring.keys.keys() - stored.keys():
        # another process may be doing the same: the first one wins, and both are checked below
        connection.execute(
            text("INSERT INTO keyring_check (version, sealed) VALUES (:version, :sealed) ON CONFLICT DO NOTHING"),
            {"version": version, "sealed": _sealed_proof(ring, version, layers)},
        )
    return ring, _layers(ring, _stored(connection))


def follow(connection: Connection, ring: KeyRing) -> None:
    """The hashes of this database know all index keys of ``ring`` now."""
    for version in _stored(connection):
        here = keyring_check.c.version == version
        proof = _sealed_proof(ring, version, len(ring.index_keys))
        connection.execute(update(keyring_check).where(here).values(sealed=proof))


def _layers(ring: KeyRing, stored: dict[int, bytes]) -> int:
    """How many index keys are proved. Raises KeyRingError where the ring is not this database's."""
    proof, layers = _proof(ring, len(ring.index_keys)), set()
    for version, sealed in stored.items():
        try:
            proved = unseal(ring, sealed, _place(version))
        except TamperedError:
            proved = b""
        if proved and len(proved) > len(proof) and proved.startswith(proof):
            raise KeyRingError(
                f"{ring.path}: this key ring is from before the index key was changed. Restore its newest copy."
            )
        if not proved or not proof.startswith(proved):
            raise KeyRingError(
                f"{ring.path}: this is not the key ring with which the database was sealed (key {version} differs). "
                "Restore the right file, or set DATABASE_URL to the database that belongs to this ring."
            )
        layers.add(len(proved) // KEY_BYTES)
    return min(layers)


def _stored(connection: Connection) -> dict[int, bytes]:
    return {row.version: bytes(row.sealed) for row in connection.execute(select(keyring_check))}


def _sealed_proof(ring: KeyRing, version: int, layers: int) -> bytes:
    return seal(replace(ring, active=version), _proof(ring, layers), _place(version))


def _proof(ring: KeyRing, layers: int) -> bytes:
    """Ties the index keys to the sealing keys: with another index key no conversation would be found."""
    return b"".join(ring.derive_each("keyring_check")[:layers])


def _place(version: int) -> bytes:
    return f"keyring_check:{version}".encode()
