"""Reads the files that only the master may read, once per generation: certificates and their keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

LARGEST_BYTES = 16 * 1024 * 1024


class SecretFileError(OSError):
    """Such a file cannot be read."""


def digest(content: bytes) -> str:
    """Tells contents apart."""
    return hashlib.sha256(content).hexdigest()


def read_secrets(names: Iterable[str], folder: Path) -> dict[str, bytes]:
    """Their bytes, by the names that the configuration gives them. Raises SecretFileError.

    Workers have given up the privileges for it, and what they are born with is the same for all of them
    and for those that replace them, whatever happens to the files meanwhile.
    """
    found: dict[str, bytes] = {}
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                found[name] = file.read(LARGEST_BYTES)
        except OSError as error:
            raise SecretFileError(f"cannot read {folder / name}: {error.strerror}") from error
    return found
