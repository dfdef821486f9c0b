"""The scout as a process: forked with a context, driven over its channel, seen through shared memory."""

import os
import signal
import time

import pytest
from forked import GENERATION, Forked, origin_server, until

from pingpy import control
from pingpy.control import SCOUT_SLOT
from pingpy.shared.layout import PROBE_DOWN, PROBE_UP
from worker.plane.peer_cells import PeerCells
from worker.policy.health_cells import HealthCells
from worker.policy.scrape import Scrape
from worker.scout import main


@pytest.fixture
def origin():
    with origin_server() as server:
        yield server


def forked_scout(text):
    forked = Forked(main, SCOUT_SLOT, text)
    forked.cells = HealthCells(forked.region, PeerCells(forked.region, forked.slab_index))
    return forked


@pytest.fixture
def scout(origin):
    text = f"""
    [health_check]
    interval = 0.2
    timeout = 0.1
    [proxy]
    [[proxy.rules]]
    path = "/*"
    upstream = "http://localhost:{origin.server_port}"
    """
    forked = forked_scout(text)
    yield forked
    forked.close()


def counted(scout, key):
    """What a scrape says of a series; None: there is none."""
    scrape = Scrape(scout.region)
    totals = scrape.totals()
    found = {series.decode(): totals.sums[at] for series, _, at in scrape.series}
    return found.get(key)


def test_its_life_over_the_channel(scout, origin):
    address = f"127.0.0.1:{origin.server_port}"
    key = f"localhost:{origin.server_port}|{address}"
    hello = scout.hear()
    assert (hello.pid, hello.generation, hello.slot) == (scout.pid, GENERATION, SCOUT_SLOT)
    assert isinstance(scout.hear(), control.Ready)
    until(lambda: address in scout.directory().get(f"localhost:{origin.server_port}", ()))
    assert origin.asked == 0
    scout.channel.send(control.Go())
    assert isinstance(scout.hear(), control.Accepting)
    until(lambda: scout.cells.read(key) == PROBE_UP)
    origin.status = 500
    until(lambda: scout.cells.read(key) == PROBE_DOWN)
    assert counted(scout, 'pingpy_dns_resolutions_total{result="ok"}') == 1
    assert counted(scout, 'pingpy_probes_total{result="ok"}') >= 1
    assert counted(scout, 'pingpy_probes_total{result="failed"}') >= 1
    age = f'pingpy_dns_age_seconds{{name="localhost:{origin.server_port}"}}'
    until(lambda: counted(scout, age) in range(30))
    assert scout.slab.pid == scout.pid
    beat = scout.slab.beat_us
    until(lambda: scout.slab.beat_us > beat)
    scout.channel.send(control.Drain("reload", 60, 600, 5))
    assert isinstance(scout.hear(), control.Drained)
    time.sleep(0.15)
    seen = origin.asked
    time.sleep(0.5)
    assert origin.asked == seen
    scout.channel.send(control.Resume())
    assert isinstance(scout.hear(), control.Accepting)
    until(lambda: origin.asked > seen)
    scout.channel.send(control.Stop())
    assert scout.exit_code() == 0


@pytest.mark.parametrize("ending", ["eof", "SIGTERM", "SIGQUIT"])
def test_it_ends_with_its_master_and_by_a_signal(scout, ending):
    assert isinstance(scout.hear(), control.Hello)
    assert isinstance(scout.hear(), control.Ready)
    if ending == "eof":
        scout.channel.close()
    else:
        os.kill(scout.pid, getattr(signal, ending))
    assert scout.exit_code() == 0


def test_the_masters_signals_mean_nothing_to_it(scout):
    assert isinstance(scout.hear(), control.Hello)
    assert isinstance(scout.hear(), control.Ready)
    for kind in (control.Logs, control.Reopen):
        log = os.dup(2)
        scout.channel.send(kind(("error",)), [log])
        os.close(log)
    for name in ("SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTTIN", "SIGTTOU"):
        os.kill(scout.pid, getattr(signal, name))
    scout.channel.send(control.Go())
    assert isinstance(scout.hear(), control.Accepting)
    scout.channel.send(control.Stop())
    assert scout.exit_code() == 0


def test_a_failure_is_told_before_the_exit():
    forked = forked_scout("[proxy]\nno_such_key = 1\n")
    try:
        message = forked.hear()
        assert isinstance(message, control.Fatal)
        assert "no_such_key" in message.message
        assert "Traceback" in message.traceback
        assert forked.exit_code() == 1
    finally:
        forked.close()
