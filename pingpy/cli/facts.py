"""What this host and this build can do, as facts: a section, a name, what is so, and whether that is well."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pingpy import __version__
from pingpy.config.cpus import allowed_cpus

State = Literal["ok", "note", "bad"]
LIBRARIES = ("uvloop", "httptools", "h2", "pydantic", "click", "python-prctl")
POST_QUANTUM = "X25519MLKEM768"
GROUPS = (POST_QUANTUM, "X25519", "P-256", "P-384", "P-521", "X448")


@dataclass(frozen=True, slots=True)
class Fact:
    """`state`: "note" is worth knowing, "bad" keeps pingpy from working as it should."""

    section: str
    name: str
    text: str
    state: State = "ok"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {"name": self.name, "text": self.text, "state": self.state}


def build_facts() -> Iterator[Fact]:
    """Versions of all that is in the process, and how the plane was compiled."""
    from worker.plane import tls_facts

    built = tls_facts.built_with()
    yield Fact("build", "pingpy", __version__)
    yield Fact("build", "Python", f"{platform.python_version()} ({sys.executable})")
    for name in LIBRARIES:
        try:
            yield Fact("build", name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Fact("build", name, "missing", "bad")
    yield Fact("build", "libssl", tls_facts.libssl())
    yield Fact("build", "built with libssl", built["libssl"])
    yield Fact("build", "built by", f"Cython {built['cython']}, C compiler {built['compiler']}")
    yield Fact("build", "flags", built["flags"])
    yield Fact("build", "system", f"{platform.system()} {platform.release()} {platform.machine()}")


def tls_facts() -> Iterator[Fact]:
    """What libssl offers: versions, FIPS, key exchange, post-quantum."""
    from worker.plane import tls_facts
    from worker.plane.tls_context import has_group

    running, built = tls_facts.libssl(), tls_facts.built_with()["libssl"]
    yield Fact("TLS", "libssl", running)
    if running != built:
        yield Fact("TLS", "built with", built, "note")
    yield Fact("TLS", "FIPS", tls_facts.fips())
    yield Fact("TLS", "key exchange", ", ".join(g for g in GROUPS if has_group(g)))
    if has_group(POST_QUANTUM):
        yield Fact("TLS", "post-quantum", f"{POST_QUANTUM}, preferred")
    else:
        version = " ".join(running.split()[:2])
        text = f"{POST_QUANTUM} not available: {version}, needs OpenSSL 3.5"
        yield Fact("TLS", "post-quantum", text, "note")


def host_facts() -> Iterator[Fact]:
    """What the kernel lets us do."""
    from worker.plane.batch_uring import refusal

    yield Fact("host", "kernel", f"{platform.release()} {platform.machine()}")
    yield Fact("host", "CPUs", f"{allowed_cpus()} of {os.cpu_count()} may be used")
    yield _pidfd()
    yield _reuse_port()
    missing = refusal()
    text = "usable" if not missing else f"not usable ({missing}): plain system calls are used"
    yield Fact("host", "io_uring", text, "note" if missing else "ok")
    soft, hard = (
        "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    yield Fact("host", "open files", f"{soft}, may be raised to {hard}")


def open_files_wanted(wanted: int) -> Fact:
    """Whether the limit of descriptors can be what a configuration's connections need."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= wanted or os.geteuid() == 0
    text = f"{wanted} wanted for [limits] connections"
    if not enough:
        text += f", and the limit may not be raised above {hard}"
    return Fact("configuration", "open files", text, "ok" if enough else "note")


def _pidfd() -> Fact:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return Fact("host", "pidfd", f"{error.strerror}: Linux 5.3 or newer is needed", "bad")
    return Fact("host", "pidfd", "yes")


def _reuse_port() -> Fact:
    """Two sockets at one address: each worker has its own queue of connections."""
    with socket.socket() as one, socket.socket() as other:
        try:
            for sock in (one, other):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind(("127.0.0.1", 0))
            other.bind(one.getsockname())
        except OSError as error:
            return Fact("host", "SO_REUSEPORT", error.strerror or str(error), "bad")
    return Fact("host", "SO_REUSEPORT", "yes")
