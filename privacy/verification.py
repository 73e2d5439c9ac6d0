"""Before anything is read or written: is this the key ring with which this database was sealed?"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import inspect, select, text
from sqlalchemy.engine import Connection

import settings
from privacy.cipher import TamperedError, seal, unseal
from privacy.keyring import KeyRing, KeyRingError
from privacy.tables import keyring_check


def verify_keyring(connection: Connection) -> KeyRing:
    """Checks the ring of ``settings.keyring_file()`` against the database; every process does so once, at start.

    Needs a transaction that may write: ``with engine.begin() as c: verify_keyring(c)``, or in the app
    ``async with engine.begin() as c: await c.run_sync(verify_keyring)``. Makes the ring for a database that never had
    one. Raises KeyRingError for a missing, damaged, outdated or wrong ring, and before the migration.
    """
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
    for version in ring.keys.keys() - stored.keys():
        sealed = seal(replace(ring, active=version), _proof(ring), _place(version))
        # another process may be doing the same: the first one wins, and both are checked below
        connection.execute(
            text("INSERT INTO keyring_check (version, sealed) VALUES (:version, :sealed) ON CONFLICT DO NOTHING"),
            {"version": version, "sealed": sealed},
        )
    for version, sealed in _stored(connection).items():
        try:
            genuine = unseal(ring, sealed, _place(version)) == _proof(ring)
        except TamperedError:
            genuine = False
        if not genuine:
            raise KeyRingError(
                f"{path}: this is not the key ring with which the database was sealed (key {version} differs). "
                "Restore the right file, or set DATABASE_URL to the database that belongs to this ring."
            )
    return ring


def _stored(connection: Connection) -> dict[int, bytes]:
    return {row.version: row.sealed for row in connection.execute(select(keyring_check))}


def _proof(ring: KeyRing) -> bytes:
    """Ties the index key to the sealing keys: with another index key no conversation would be found."""
    return b"".join(ring.derive_each("keyring_check"))


def _place(version: int) -> bytes:
    return f"keyring_check:{version}".encode()
