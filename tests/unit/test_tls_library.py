"""Which TLS library the environment asks the plane's build for, and what is said when it is not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from tls_library import TlsLibrary, TlsLibraryError, chosen


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """What a build of BoringSSL leaves."""
    for name in ("include/openssl/ssl.h", "lib/libssl.a", "lib/libcrypto.a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_without_a_word_it_is_the_systems(monkeypatch, tmp_path):
    monkeypatch.delenv("PINGPY_TLS_LIBRARY", raising=False)
    assert chosen(tmp_path) == TlsLibrary()
    (tmp_path / "libpingpy_tls.so").touch()  # of a build with another library
    assert TlsLibrary().put_together(tmp_path, tmp_path) is None
    assert not (tmp_path / "libpingpy_tls.so").exists()


def test_boringssl_is_linked_in_one_library_whose_symbols_have_a_prefix(monkeypatch, prefix):
    monkeypatch.setenv("PINGPY_TLS_LIBRARY", f"boringssl:{prefix}")
    library = chosen(Path("plane"))
    assert library.include == (f"{prefix}/include",)
    assert library.compile_flags == ("-DBORINGSSL_PREFIX=pingpy",)
    assert library.link_flags == ("plane/libpingpy_tls.so", "-Wl,-rpath,$ORIGIN")
    assert library.libraries == ()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("gnutls", "it may be openssl, boringssl or boringssl:FOLDER"),
        ("openssl:/usr", "it may be openssl, boringssl or boringssl:FOLDER"),
        ("boringssl:nowhere", "there is no nowhere/lib/libssl.a"),
    ],
)
def test_what_cannot_be_had_is_told(monkeypatch, tmp_path, asked, words):
    monkeypatch.setenv("PINGPY_TLS_LIBRARY", asked)
    with pytest.raises(TlsLibraryError, match=words):
        chosen(tmp_path)
