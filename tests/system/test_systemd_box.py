"""The shipped unit under a real systemd: start, upgrade, refusal, signals, kills, activation; judged from one boot.

Needs root, namespaces, and the tool `systemd-box`, which boots systemd in a throw-away overlay of this machine:
named by $PINGPY_SYSTEMD_BOX, or found as shared/tools/systemd-box beside the checkout or above it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = Path(__file__).with_name("systemd_scenario.py")
SECONDS = 400  # for all of it, on a busy machine

pytestmark = [
    pytest.mark.timeout(SECONDS + 60),
    pytest.mark.skipif(
        bool(os.environ.get("PINGPY_SANITIZED")),
        reason="the sanitizers' library is not in the unit",
    ),
]


def tool() -> Path | None:
    """Where systemd-box is."""
    named = os.environ.get("PINGPY_SYSTEMD_BOX")
    places = [Path(named)] if named else [p / "shared/tools/systemd-box" for p in ROOT.parents]
    return next((place for place in places if place.is_file()), None)


def impossible() -> str | None:
    """Why no systemd can be booted here."""
    box = tool()
    if box is None:
        return "systemd-box is not here"
    if os.geteuid() != 0:
        return "needs root"
    booted = subprocess.run(
        ["bash", box, "--timeout", "90", "--", "true"], capture_output=True, text=True, check=False
    )
    return None if booted.returncode == 0 else f"no systemd can be booted: {booted.stderr[-300:]}"


@pytest.fixture(scope="module")
def seen() -> dict[str, dict[str, Any]]:
    """What the scenario saw, by scene."""
    if reason := impossible():
        pytest.skip(reason)
    done = subprocess.run(
        [
            *("bash", str(tool()), "--timeout", str(SECONDS), "--"),
            *(sys.executable, str(SCENARIO), str(ROOT), sysconfig.get_path("purelib")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, dict[str, Any]] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    assert done.returncode == 0, (found, done.stderr[-3000:])
    return found


def test_it_starts_as_its_own_user(seen):
    scene = seen["starts"]
    assert (scene["code"], scene["state"], scene["user"]) == (0, "active", "pingpy"), scene
    assert scene["says"] == "first"
    assert scene["version"].startswith("1.")


def test_systemd_thinks_it_well_confined(seen):
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", seen["is_confined"]["said"])
    assert exposure
    assert float(exposure.group(1)) <= 3.0


def test_a_reload_is_an_upgrade_to_the_installed_version_and_nobody_notices(seen):
    scene = seen["upgrades"]
    assert (scene["code"], scene["failures"]) == (0, []), scene
    assert scene["version"].startswith("2.")
    assert scene["says"] == "second"
    assert scene["after"] not in (0, scene["before"])
    assert scene["state"] == "active"


def test_a_broken_file_is_refused_the_status_says_why_and_the_old_one_serves(seen):
    scene = seen["refuses_a_broken_file"]
    assert scene["code"] != 0
    assert "config.toml:2:10: expected a string or a list of strings, found 80" in scene["status"]
    assert 'did you mean "listen"?' in scene["status"]
    assert (scene["says"], scene["failures"], scene["same"]) == ("second", [], True)
    assert scene["answered"] > 0


def test_hup_to_every_process_reloads_once_and_hurts_nobody(seen):
    scene = seen["reloads_on_a_signal_to_all"]
    assert (scene["code"], scene["says"], scene["failures"]) == (0, "third", []), scene
    assert scene["same"]


def test_the_log_is_reopened_after_the_rotation(seen):
    scene = seen["reopens_its_log"]
    assert (scene["code"], scene["written"], scene["owner"], scene["moved"]) == (
        0,
        True,
        "pingpy",
        True,
    ), scene


def test_a_killed_master_is_replaced(seen):
    scene = seen["comes_back_after_its_master_was_killed"]
    assert scene["after"] not in (0, scene["before"]), scene
    assert scene["says"] == "third"


def test_who_connects_while_all_are_dead_is_served_by_the_next_ones(seen):
    scene = seen["keeps_its_queue_when_all_are_killed"]
    assert scene["dead"]
    assert (scene["refused"], set(scene["answers"])) == (0, {"HTTP/1.1 200 OK"}), scene
    assert scene["state"] == "active"


def test_a_removed_address_leaves_the_managers_store_too(seen):
    scene = seen["gives_a_port_up"]
    assert (scene["added"][0], scene["opened"], scene["kept"]) == (0, True, True), scene
    assert (scene["removed"][0], scene["closed"], scene["still_closed"]) == (0, True, True), scene
    assert scene["says"] == "third"


def test_the_watchdog_is_fed_and_bites(seen):
    scene = seen["is_watched"]
    assert scene["lived"]
    assert scene["after"] not in (0, scene["before"]), scene
    assert scene["says"] == "third"


def test_the_journal_has_an_entry_an_event_with_its_priority(seen):
    messages = [(int(priority), text) for priority, text in seen["journal"]["messages"]]
    started = [priority for priority, text in messages if "started: 2 of 2 workers" in text]
    assert len(started) >= 3
    assert set(started) == {6}
    assert {priority for priority, text in messages if "[warn]" in text} == {4}
    assert {priority for priority, text in messages if "[error]" in text} <= {3}
    assert not any("Traceback" in text or text.startswith("<") for _, text in messages)


def test_the_socket_unit_starts_it_and_hands_its_port_over(seen):
    scene = seen["is_activated_by_its_socket"]
    assert (scene["code"], scene["stopped"], scene["idle"]) == (0, "inactive", "inactive"), scene
    assert scene["says"] == "third", scene
    assert json.loads(scene["status"])["listeners"][0]["origin"] == "systemd"
    assert scene["left"] == []
