"""What must not leak: the key ring, AES-256-GCM, encrypted columns with a blind index, sealed conversations.

Knows no other room. Every process calls :func:`verify_keyring` at start and stops if it raises :class:`KeyRingError`.
``python -m privacy check`` and ``python -m privacy rotate`` are the operator's commands.
"""

from privacy.cipher import TamperedError
from privacy.columns import Damaged, EncryptedText, KeyedHash, blind_index, damaged_as
from privacy.keyring import KeyRing, KeyRingError
from privacy.tables import metadata
from privacy.verification import verify_keyring

__all__ = [
    "Damaged",
    "EncryptedText",
    "KeyRing",
    "KeyRingError",
    "KeyedHash",
    "TamperedError",
    "blind_index",
    "damaged_as",
    "metadata",
    "verify_keyring",
]
