"""Which TLS library the plane is compiled against: the system's OpenSSL, or what PINGPY_TLS and PINGPY_TLS_PREFIX name.

    PINGPY_TLS=boringssl PINGPY_TLS_PREFIX=/path pip install .

That folder has include/openssl and lib/libssl.a, lib/libcrypto.a. They are put together into one shared library
beside the plane's modules: each of them must see the same copy, and Python's own ssl module, which brings OpenSSL,
none of it. Hence BoringSSL must be built as scripts/boringssl does it: its symbols visible, and with a prefix.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

OWN_NAME = "libpingpy_tls.so"
SYMBOL_PREFIX = "pingpy"


class TlsLibraryError(Exception):
    """The library that was asked for cannot be used."""


@dataclass(frozen=True)
class TlsLibrary:
    """What the plane's tls modules are compiled and linked with."""

    name: str = "openssl"
    include: tuple[str, ...] = ()
    compile_flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ("ssl", "crypto")
    archives: tuple[str, ...] = ()

    def put_together(self, folder: Path) -> Path | None:
        """Make the shared library in this folder, or remove the one of another build. Raises subprocess errors."""
        target = folder / OWN_NAME
        if not self.archives:
            target.unlink(missing_ok=True)
            return None
        command = ["g++", "-shared", "-o", str(target), f"-Wl,-soname,{OWN_NAME}", "-Wl,-Bsymbolic"]
        command += ["-Wl,--whole-archive", *self.archives, "-Wl,--no-whole-archive", "-lpthread"]
        subprocess.run([*command, "-s"], check=True)
        return target


def chosen(folder: Path) -> TlsLibrary:
    """By the environment; `folder` is where the modules will be. Raises TlsLibraryError."""
    name = os.environ.get("PINGPY_TLS", "openssl")
    prefix = os.environ.get("PINGPY_TLS_PREFIX")
    if name == "openssl" and not prefix:
        return TlsLibrary()
    if name not in ("openssl", "boringssl"):
        raise TlsLibraryError(f"PINGPY_TLS={name}: it may be openssl or boringssl")
    if not prefix:
        raise TlsLibraryError(f"PINGPY_TLS={name} needs PINGPY_TLS_PREFIX, the folder it is in")
    archives = [Path(prefix) / "lib" / f for f in ("libssl.a", "libcrypto.a")]
    wanted = [*archives, Path(prefix) / "include" / "openssl" / "ssl.h"]
    if missing := [str(path) for path in wanted if not path.exists()]:
        raise TlsLibraryError(f"PINGPY_TLS_PREFIX={prefix}: there is no {', '.join(missing)}")
    prefixed = (f"-DBORINGSSL_PREFIX={SYMBOL_PREFIX}",) if name == "boringssl" else ()
    return TlsLibrary(
        name=f"{name} {prefix} {archives[0].stat().st_mtime_ns}",
        include=(str(Path(prefix) / "include"),),
        compile_flags=prefixed,
        link_flags=(str(folder / OWN_NAME), "-Wl,-rpath,$ORIGIN"),
        libraries=(),
        archives=tuple(map(str, archives)),
    )
