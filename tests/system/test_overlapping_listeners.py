"""A single address beside all addresses of one port: refused before anything is touched; the way around it works."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from matrix_rig import QUICK, Mixed, Real, free_port, until

pytestmark = pytest.mark.system
GET = b"GET /poll HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Real]:
    rig = Real(tmp_path)
    rig.start()
    until(lambda: rig.settled_on(1), 60)
    yield rig
    rig.stop()


def answered(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=30) as sock:
            sock.sendall(GET)
            return b"".join(iter(lambda: sock.recv(65536), b"")).startswith(b"HTTP/1.1 200 ")
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("verb", ["reload", "upgrade"])
@pytest.mark.parametrize("special", [True, False], ids=["to all", "to one"])
def test_one_cannot_take_the_others_place_and_nobody_notices(
    tmp_path: Path, verb: str, special: bool
) -> None:
    rig = Real(tmp_path)
    one, every = f"127.0.0.1:{rig.port}", f"0.0.0.0:{rig.port}"
    old, new = (one, every) if special else (every, one)
    rig.write(listen=[old])
    rig.start()
    try:
        until(lambda: rig.settled_on(1), 60)
        with Mixed(rig, QUICK) as load:
            for listen in ([new], [one, every], [every, one]):
                rig.write(listen=listen)
                answer = rig.tell(verb, timeout=90)
                assert answer["code"] == 4
                assert "overlaps" in str(answer), answer
            rig.write(listen=[old])
            assert rig.tell(verb, timeout=90)["code"] == 0
        load.nothing_lost()
    finally:
        rig.stop()


def test_without_either_in_between_it_can_be_done(rig: Real) -> None:
    """The load is on another port: who takes an address out means to."""
    changed, kept = free_port(), f"127.0.0.1:{rig.port}"

    def taken() -> bool:
        """Refused as long as somebody of the old generation is still on the other one."""
        return bool(rig.tell("reload", no_probation=True, timeout=90)["code"] == 0)

    with Mixed(rig, QUICK) as load:
        rig.write(listen=[kept, f"127.0.0.1:{changed}"])
        assert taken()
        for host in ("0.0.0.0", "127.0.0.1"):
            assert answered("127.0.0.1", changed)
            rig.write(listen=[kept, f"{host}:{changed}"])
            assert not taken()
            rig.write(listen=[kept])
            assert taken()
            rig.write(listen=[kept, f"{host}:{changed}"])
            until(taken, 120)
            assert answered("127.0.0.2", changed) is (host == "0.0.0.0")
        assert answered("127.0.0.1", changed)
    load.nothing_lost()
