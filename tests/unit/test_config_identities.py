"""[[network.tls]]: names that clients can ask for, one identity for each, and what is asked of clients."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pingpy.config.certificates_clients import check_client_authorities
from pingpy.config.crosscheck_identities import check_identities
from pingpy.config.schema import Config

DATA = Path(__file__).parents[1] / "data"


def config(*tables: str) -> Config:
    head = '[[network.tls]]\ncertificate = "c"\nkey = "k"\n'
    return Config.model_validate(tomllib.loads("".join(f"{head}{table}\n" for table in tables)))


def told(*tables: str) -> list[tuple[int | str, str | int, str]]:
    found = check_identities(config(*tables))
    return [(f.path[2], f.path[3], f"{f.severity}: {f.message}") for f in found]


@pytest.mark.parametrize(
    "name", ["a", "www.example.com", "*.example.com", "xn--mnchen-3ya.de", "a_b.x-y.1", "A.Test"]
)
def test_names_that_clients_ask_for(name: str) -> None:
    assert told(f'server_name = "{name}"') == []


@pytest.mark.parametrize(
    "name", ["", "*", "a.*", "*a.test", "a.test:443", "https://a.test", "a b", "ü.test", ".a", "a."]
)
def test_names_that_nobody_can_ask_for(name: str) -> None:
    message = f'error: "{name}" is no host name'
    assert told(f'server_name = ["a.test", "{name}"]') == [(0, "server_name", message)]


@pytest.mark.parametrize("name", ["192.0.2.1", "2001:db8::1", "[2001:db8::1]"])
def test_an_address_is_no_name(name: str) -> None:
    message = f'error: "{name}" is an address, and clients ask for names only'
    assert told(f'server_name = "{name}"') == [(0, "server_name", message)]


def test_certificates_of_one_identity_have_the_same_names_in_whatever_order() -> None:
    assert told('server_name = ["a", "B"]', 'server_name = ["b", "a"]', "", "") == []


def test_a_name_with_two_identities_is_refused() -> None:
    message = 'error: "a" is a name of another entry, too, beside other names'
    found = told('server_name = ["a", "b"]', 'server_name = "c"', 'server_name = "A"')
    assert found == [(2, "server_name", message)]


def test_what_is_asked_of_clients_needs_somebody_to_believe() -> None:
    message = 'error: client_verify = "required" needs "client_ca"'
    assert told('client_verify = "required"') == [(0, "client_verify", message)]
    assert told('client_verify = "optional"\nclient_ca = "ca"') == []


def test_somebody_to_believe_and_nobody_to_ask_is_told() -> None:
    message = 'warning: "client_ca" is not used: no client is asked for a certificate'
    assert told('client_ca = "ca"') == [(0, "client_ca", message)]
    asked = 'client_ca = "ca"\nclient_verify = "required"'
    assert told('client_ca = "ca"', asked) == []  # the same identity
    assert told('client_ca = "ca"', f'server_name = "a"\n{asked}') == [(0, "client_ca", message)]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("tls_localhost.crt", None),
        ("none.pem", "cannot read none.pem: No such file or directory"),
        ("tls_localhost.key", "there is no certificate in tls_localhost.key"),
    ],
)
def test_the_file_of_clients_authorities_is_looked_at(file: str, message: str | None) -> None:
    found = check_client_authorities(config("", f'client_ca = "{file}"'), DATA)
    said = [(f.path, f.message.replace(f"{DATA}/", "")) for f in found]
    assert said == ([(("network", "tls", 1, "client_ca"), message)] if message else [])
