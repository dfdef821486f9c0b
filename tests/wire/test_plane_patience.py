"""A patient plane serves what comes soon in the same call, while other threads go on; an idle one does not wait."""

from __future__ import annotations

import threading
import time

from tests.wire.plane_rig import Rig

LOCAL = b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENCE_MS = 2000  # longer than a loaded machine's pauses: what comes in 20 ms is in time


def test_one_call_serves_what_another_thread_asks_a_little_later(plane: Rig) -> None:
    client = plane.client(LOCAL).socket
    client.settimeout(30)
    answers: list[bytes] = []

    def ask_twice() -> None:
        answers.append(client.recv(65536))
        time.sleep(0.02)
        client.sendall(LOCAL)
        answers.append(client.recv(65536))

    plane.plane.be_patient(PATIENCE_MS)
    asking = threading.Thread(target=ask_twice)
    asking.start()
    plane.plane.ready()
    plane.plane.be_patient(0)
    asking.join()
    assert [answer[:15] for answer in answers] == [b"HTTP/1.1 200 OK"] * 2


def test_nothing_to_do_is_not_waited_for(plane: Rig) -> None:
    plane.plane.be_patient(PATIENCE_MS * 1000)
    assert not plane.plane.ready()
    plane.plane.be_patient(0)
