"""Certificates renewed on disk, the ways that certbot, Kubernetes and editors do it: served without a signal."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from master_rig import until
from secure_service import SECONDS, Service, chain, key, ocsp_response, serial

from master.lookout import LOOK_SECONDS
from master.watch import SETTLE_SECONDS

AUTHORITY = trustme.CA()
OWN = "watch_interval = 0.2"
TLS = '[[network.tls]]\ncertificate = "live/a.pem"\nkey = "live/a.key"\nocsp = "live/a.ocsp"\n'


def files(issued: trustme.LeafCert) -> dict[str, bytes]:
    """A certificate as it lies on disk."""
    response = ocsp_response(AUTHORITY, issued)
    return {"a.pem": chain(issued), "a.key": key(issued), "a.ocsp": response}


def write(folder: Path, content: dict[str, bytes]) -> None:
    """Each file at once, as an editor does: a new one takes the old one's name."""
    folder.mkdir(exist_ok=True)
    for name, data in content.items():
        beside = folder / f".{name}.new"
        beside.write_bytes(data)
        os.replace(beside, folder / name)


@pytest.fixture
def first() -> trustme.LeafCert:
    return AUTHORITY.issue_cert("localhost")


@pytest.fixture
def second() -> trustme.LeafCert:
    return AUTHORITY.issue_cert("localhost")


@pytest.fixture
def service(tmp_path: Path, first) -> Iterator[Service]:
    """The files lie in "1", whereto "live" leads."""
    write(tmp_path / "1", files(first))
    (tmp_path / "live").symlink_to("1")
    with Service(tmp_path, TLS, own=OWN) as running:
        assert running.shown() == serial(first)
        yield running


def test_a_certificate_renewed_by_rename_is_served(service, second):
    write(service.folder / "1", files(second))
    until(lambda: service.shown() == serial(second), SECONDS)
    assert len(service.lines("changed on disk: live/a.pem, live/a.key, live/a.ocsp")) == 1
    assert not service.lines("refused")


def test_a_swapped_link_is_followed(service, second):
    write(service.folder / "2", files(second))
    (service.folder / "new").symlink_to("2")
    os.replace(service.folder / "new", service.folder / "live")
    until(lambda: service.shown() == serial(second), SECONDS)
    until(lambda: len(service.lines("committed")) == 1, SECONDS)


def test_a_pair_that_does_not_match_is_refused_once_and_the_old_one_serves_on(
    service, first, second
):
    write(service.folder / "1", {"a.pem": chain(second), "a.ocsp": files(second)["a.ocsp"]})
    until(lambda: service.lines("refused"), SECONDS)
    assert service.shown() == serial(first)
    time.sleep(2 * SETTLE_SECONDS)  # long enough to try once more, which it must not
    assert len(service.lines("changed on disk")) == 1
    write(service.folder / "1", {"a.key": key(second)})
    until(lambda: service.shown() == serial(second), SECONDS)
    (line,) = service.lines("refused")
    assert "error" in line
    assert "generation 1 keeps serving" in line
    assert len(service.lines("changed on disk")) == 2


def test_files_that_are_written_again_with_the_same_bytes_are_no_change(service, first, second):
    write(
        service.folder / "1", files(first) | {"a.ocsp": (service.folder / "1/a.ocsp").read_bytes()}
    )
    write(service.folder / "1", {"a.pem": chain(first)})
    # The change after it is the first that is noticed.
    write(service.folder / "1", {"a.ocsp": ocsp_response(AUTHORITY, first, days=3)})
    until(lambda: service.lines("changed on disk"), SECONDS)
    assert len(service.lines("changed on disk: live/a.ocsp")) == 1


def test_a_key_that_is_gone_is_told_once_and_the_old_one_serves_on(service, first):
    gone = service.folder / "1" / "a.key"
    content = gone.read_bytes()
    gone.unlink()
    until(lambda: service.lines("refused"), SECONDS)
    assert "a.key: No such file or directory" in service.log()
    assert service.shown() == serial(first)
    gone.write_bytes(content)
    write(service.folder / "1", {"a.ocsp": ocsp_response(AUTHORITY, first, days=3)})
    until(lambda: service.lines("committed"), SECONDS)


def test_a_disk_that_hangs_does_not_hang_the_master(service, first):
    pipe = service.folder / "1" / "a.key"
    pipe.unlink()
    os.mkfifo(pipe)  # whoever opens it waits, as on a network file system whose server is gone
    until(lambda: service.lines("their disk hangs"), 3 * LOOK_SECONDS)
    assert service.shown() == serial(first)
