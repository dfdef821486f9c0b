def libssl() -> str:
    """Version of the libssl that was loaded, as it says itself: "OpenSSL 3.0.2 15 Mar 2022", "BoringSSL (API 44)"."""

def built_with() -> dict[str, str]:
    """Of each part of the build its version: "libssl", "cython", "compiler", and the "flags"."""

def fips() -> str:
    """The FIPS module: "in force", "loaded, not in force", "available, not loaded", "no provider"; BoringSSL's:
    "in force" or "not in this build"."""
