"""What the plane was built with, and what the libssl that it meets can do: for `pingpy -V` and `pingpy doctor`."""

import cython
from cython.cimports.worker.plane.openssl import ERR_clear_error
from cython.cimports.worker.plane.openssl_facts import (
    CYTHON_HEX_VERSION,
    PINGPY_COMPILER,
    PINGPY_FLAGS,
    PINGPY_TLS_BUILT,
    pingpy_fips,
    pingpy_libssl,
)

FIPS = {
    2: "in force",
    1: "loaded, not in force",
    0: "available, not loaded",
    -1: "no provider",
    -2: "not in this build",
}


def libssl() -> str:
    """Its version, as it says itself."""
    said: bytes = pingpy_libssl()
    return said.decode("ascii", "replace")


def built_with() -> dict:
    """Of each part of the build its version: "libssl", "cython", "compiler", and the "flags"."""
    tls: bytes = PINGPY_TLS_BUILT
    compiler: bytes = PINGPY_COMPILER
    flags: bytes = PINGPY_FLAGS
    number: cython.long = CYTHON_HEX_VERSION
    return {
        "libssl": tls.decode(),
        "cython": f"{number >> 24 & 255}.{number >> 16 & 255}.{number >> 8 & 255}",
        "compiler": compiler.decode(),
        "flags": flags.decode(),
    }


def fips() -> str:
    """The state of libssl's FIPS module."""
    found: str = FIPS[pingpy_fips()]
    ERR_clear_error()
    return found
