"""The bytes of a configuration file, read once, so that everyone judges the same text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class ConfigSource:
    """A configuration's path, as the operator gave it, and its bytes at one moment."""

    path: str
    text: bytes

    @classmethod
    def read(cls, path: str | Path) -> ConfigSource:
        """Reads the file; raises OSError when that is impossible."""
        return cls(str(path), Path(path).read_bytes())

    @cached_property
    def sha256(self) -> str:
        """The hexadecimal digest that tells two versions of the file apart."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def folder(self) -> Path:
        """Where relative paths in the file (modules, certificates) start from."""
        return Path(self.path).resolve().parent
