"""What the master is told."""

from pathlib import Path

import pytest

from pingpy.config.cpus import allowed_cpus, quota_cpus
from pingpy.config.load import load
from pingpy.config.plan import DEFAULT_ACCESS_LOG, LogPlan, plan
from pingpy.config.source import ConfigSource


def planned(text="", *, environ=None, uid=0, cpus=2):
    config = load(ConfigSource("c.toml", text.encode()))
    return plan(config, environ=environ or {}, uid=uid, cpus=cpus)


def test_each_listener_has_an_identity_a_kind_and_a_mode():
    found = planned('[network]\nlisten = [":80", "unix:/w.sock"]\nbacklog = 99\n').listeners
    assert [(x.id, x.text, x.kind, x.mode, x.backlog, x.scheme) for x in found] == [
        ("tcp4/0.0.0.0:80", "0.0.0.0:80", "tcp4", "slots", 99, "auto"),
        ("tcp6/[::]:80", "[::]:80", "tcp6", "slots", 99, "auto"),
        ("unix:/w.sock", "unix:/w.sock", "unix", "shared", 99, "auto"),
    ]


def test_one_worker_needs_no_slots_unless_told_so():
    assert planned("[global]\nworker_threads = 1\n").listeners[0].mode == "shared"
    text = '[global]\nworker_threads = 1\n[network]\nreuse_port = "slots"\n'
    assert planned(text).listeners[0].mode == "slots"
    assert planned('[network]\nreuse_port = "shared"\n').listeners[0].mode == "shared"


def test_listeners_of_the_metrics_come_last_and_speak_plain_http():
    text = '[network]\nlisten = ":80"\n[metrics]\nlisten = ["127.0.0.1:8443", "unix:/m.sock"]\n'
    found = planned(text).listeners
    assert [(p.id, p.scheme, p.pages_only) for p in found] == [
        ("tcp4/0.0.0.0:80", "auto", False),
        ("tcp6/[::]:80", "auto", False),
        ("tcp4/127.0.0.1:8443", "http", True),
        ("unix:/m.sock", "http", True),
    ]
    assert len(planned(text + "enabled = false\n").listeners) == 2


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 2),
        ('worker_threads = "auto"', 2),
        ("worker_threads = 5", 5),
        ("worker_processes = 6", 6),
    ],
)
def test_workers(text, count):
    found = planned(f"[global]\n{text}\n")
    assert (found.worker_count, found.min_workers) == (count, count)


def test_never_more_workers_are_required_than_there_are():
    assert planned("[global]\nworker_threads = 2\nmin_workers = 9\n").min_workers == 2


@pytest.mark.parametrize(
    ("text", "environ", "uid", "folder"),
    [
        ('runtime_dir = "/x/"', {"RUNTIME_DIRECTORY": "/run/a"}, 0, "/x"),
        ("", {"RUNTIME_DIRECTORY": "/run/a:/run/b"}, 1000, "/run/a"),
        ("", {}, 0, "/run/pingpy"),
        ("", {"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/pingpy"),
        ("", {}, 7, "/tmp/pingpy-7"),
    ],
)
def test_the_runtime_folder_and_the_pid_file_in_it(text, environ, uid, folder):
    found = planned(f"[global]\n{text}\n", environ=environ, uid=uid)
    assert found.runtime_dir == folder
    assert (found.pid_file, found.pid_file_required) == (f"{folder}/pingpy.pid", False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", LogPlan("path", DEFAULT_ACCESS_LOG, fallback=True)),
        ('access_log = "off"', LogPlan("off")),
        ('access_log = "stdout"', LogPlan("stdout")),
        ('access_log = "/a.log"', LogPlan("path", "/a.log")),
    ],
)
def test_the_access_log(text, expected):
    assert planned(f"[global]\n{text}\n").access_log == expected


def test_settings_with_two_spellings():
    found = planned('[timeouts]\ndrain = 9\n[log]\nlevel = "debug"\n')
    assert (found.drain.drain_seconds, found.log_level) == (9, "debug")


def test_descriptors_are_enough_for_each_connection_and_its_origin():
    assert planned("[limits]\nconnections = 1000\n").open_files == 3024


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("max 100000", None),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("1000 100000", 1),
        ("", None),
    ],
)
def test_a_quota_is_rounded_up(text, cpus):
    assert quota_cpus(text) == cpus


def test_the_smallest_quota_of_the_groups_around_us_counts(tmp_path: Path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("1:cpu:/x\n0::/a/b\n")
    (tmp_path / "cgroup/a/b").mkdir(parents=True)
    (tmp_path / "cgroup/a/b/cpu.max").write_text("max 100000\n")
    (tmp_path / "cgroup/a/cpu.max").write_text("100000 100000\n")
    assert allowed_cpus(tmp_path / "proc", tmp_path / "cgroup") == 1


def test_without_control_groups_the_affinity_mask_counts(tmp_path: Path):
    assert allowed_cpus(tmp_path, tmp_path) >= 1
