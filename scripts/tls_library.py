"""Which TLS library the plane is compiled against: the system's OpenSSL, or what PINGPY_TLS_LIBRARY names.

    scripts/boringssl && PINGPY_TLS_LIBRARY=boringssl pip install .
    PINGPY_TLS_LIBRARY=boringssl:/folder pip install .

The folder is what scripts/boringssl leaves: include, lib/libssl.a and lib/libcrypto.a. The two are put together into
one shared library beside the plane's modules, for each of them must see the same copy, and Python's own ssl module,
which brings OpenSSL into the same process, none of it. Hence their symbols have a prefix.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

OWN_NAME = "libpingpy_tls.so"
PREFIX = "pingpy"
FOLDER = Path(__file__).resolve().parent.parent / "build" / "boringssl"


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

    def put_together(self, folder: Path, scratch: Path) -> Path | None:
        """Make the shared library in this folder, or remove the one of another build. Raises subprocess errors."""
        target = folder / OWN_NAME
        if not self.archives:
            target.unlink(missing_ok=True)
            return None
        exported = scratch / f"{OWN_NAME}.map"
        exported.write_text(f"{{ global: {PREFIX}_*; local: *; }};\n")
        command = ["g++", "-shared", "-s", "-o", str(target), f"-Wl,-soname,{OWN_NAME}"]
        command += [f"-Wl,--version-script={exported}", "-Wl,-z,defs", "-Wl,-z,relro", "-Wl,-z,now"]
        # Of C++ it has the little that it needs inside: a host without a compiler may be without that, too.
        command += ["-static-libstdc++", "-static-libgcc"]
        command += ["-Wl,--whole-archive", *self.archives, "-Wl,--no-whole-archive", "-lpthread"]
        subprocess.run(command, check=True)
        return target


def chosen(folder: Path) -> TlsLibrary:
    """By the environment; `folder` is where the modules will be. Raises TlsLibraryError."""
    said = os.environ.get("PINGPY_TLS_LIBRARY", "openssl")
    name, _, place = said.partition(":")
    if name == "openssl" and not place:
        return TlsLibrary()
    if name != "boringssl":
        raise TlsLibraryError(
            f"PINGPY_TLS_LIBRARY={said}: it may be openssl, boringssl or boringssl:FOLDER"
        )
    prefix = Path(place) if place else FOLDER
    archives = [prefix / "lib" / file for file in ("libssl.a", "libcrypto.a")]
    wanted = [*archives, prefix / "include" / "openssl" / "ssl.h"]
    if missing := [str(path) for path in wanted if not path.exists()]:
        advice = "" if place else " (scripts/boringssl makes them)"
        raise TlsLibraryError(
            f"PINGPY_TLS_LIBRARY={name}: there is no {', '.join(missing)}{advice}"
        )
    return TlsLibrary(
        name=f"{name} {prefix} {archives[0].stat().st_mtime_ns}",
        include=(str(prefix / "include"),),
        compile_flags=(f"-DBORINGSSL_PREFIX={PREFIX}",),
        link_flags=(str(folder / OWN_NAME), "-Wl,-rpath,$ORIGIN"),
        libraries=(),
        archives=tuple(map(str, archives)),
    )
