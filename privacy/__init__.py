"""What must not leak: the key ring, AES-256-GCM, encrypted columns with a blind index, sealed conversations.

Knows no other room. Every process calls :func:`verify_keyring` at start and stops if it raises :class:`KeyRingError`.
``python -m privacy check`` and ``python -m privacy rotate`` are the operator's commands.
"""

from privacy.cipher import TamperedError
from privacy.keyring import KeyRing, KeyRingError, current_ring
from privacy.verification import verify_keyring

__all__ = [
    "KeyRing",
    "KeyRingError",
    "TamperedError",
    "current_ring",
    "verify_keyring",
]
