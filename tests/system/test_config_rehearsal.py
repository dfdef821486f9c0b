"""What -t finds on the host: ports, folders, users, modules, names; with real sockets and processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pingpy.cli.check import check, dump, read_source
from pingpy.config.as_user import complaints_as_user
from pingpy.config.rehearsal import rehearse
from pingpy.config.source import ConfigSource
from pingpy.errors import Complaint, ConfigError

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
SEED = (DATA / "seed_config.toml").read_text()
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def told(tmp_path):
    """What is said about a text, when its files and folders are in tmp_path."""

    def rehearsed(text, *, listen="unix:{tmp}/w.sock", pid_file="{tmp}/pid", **options):
        own = f'runtime_dir = "{tmp_path}/run"\naccess_log = "off"\npid_file = "{pid_file}"\n'
        head = f'[global]\n{own}[network]\nlisten = ["{listen}"]\n'.replace("{tmp}", str(tmp_path))
        source = ConfigSource(str(tmp_path / "c.toml"), (head + text).encode())
        try:
            complaints = rehearse(source, **options).warnings
        except ConfigError as error:
            complaints = error.complaints
        return [c.message.replace(str(tmp_path), "TMP") for c in complaints]

    return rehearsed


def test_a_sound_configuration_has_nothing_said_about_it(told, tmp_path):
    assert told("") == []
    assert not (tmp_path / "w.sock").exists()


@pytest.mark.parametrize("mode", ["shared", "slots"])
def test_a_port_of_another_program_is_refused_and_the_program_named(told, mode):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        text = f'reuse_port = "{mode}"\n'
        listen = f"127.0.0.1:{port}"
        assert told(text, listen=listen) == [f"{listen} is in use by {name} (pid {os.getpid()})"]


def test_a_port_that_we_hold_is_not_bound_again(told, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as ours:
        listen = f"127.0.0.1:{ours.getsockname()[1]}"
        assert told("", listen=listen, held=[f"tcp4/{listen}"]) == []
        (tmp_path / "pid").write_text(str(os.getpid()))
        assert told("", listen=listen) == []


def test_ports_that_a_manager_holds_for_us_can_be_left_alone(told):
    with socket.create_server(("127.0.0.1", 0)) as managers:
        listen = f"127.0.0.1:{managers.getsockname()[1]}"
        assert told("", listen=listen, bind=False) == []


def test_a_free_port_stays_free(told):
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
    assert told("", listen=listen) == []
    with socket.create_server(("127.0.0.1", int(listen.rpartition(":")[2]))):
        pass


def test_an_address_of_another_machine(told):
    assert told("", listen="192.0.2.1:8080") == [
        "cannot listen on 192.0.2.1:8080: Cannot assign requested address"
    ]


def test_a_file_where_a_socket_should_be(told, tmp_path):
    (tmp_path / "w.sock").write_text("")
    assert told("") == ["TMP/w.sock exists and is not a socket"]


def test_folders_that_do_not_exist(told):
    assert told("", pid_file="{tmp}/none/pid") == [
        "cannot write TMP/none/pid: the folder TMP/none does not exist"
    ]
    assert told("", listen="unix:{tmp}/none/w") == [
        "cannot listen on TMP/none/w: the folder TMP/none does not exist"
    ]


def test_a_log_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    text = f'[global]\naccess_log = "{tmp_path}/file/access.log"\n'
    with pytest.raises(ConfigError) as error:
        rehearse(ConfigSource("c", text.encode()))
    assert f"{tmp_path}/file is not a folder" in str(error.value)


def test_an_unknown_user(tmp_path):
    text = b'[global]\nuser = "nobody-like-this"\ngroup = "nor-this"\n'
    with pytest.raises(ConfigError) as error:
        rehearse(ConfigSource("c", text))
    assert 'c:2:8: there is no user "nobody-like-this" on this host' in str(error.value)
    assert 'c:3:9: there is no group "nor-this" on this host' in str(error.value)


def test_many_workers_are_a_warning(tmp_path):
    with pytest.raises(ConfigError, match=r"512 workers are more than four for each of the"):
        rehearse(ConfigSource("c", b"[global]\nworker_threads = 512\n"), strict=True)


def test_a_name_that_does_not_resolve_is_only_a_warning(told):
    (message,) = told('[[proxy.rules]]\nupstream = "http://no-such-host.invalid"\n')
    assert message.startswith('the name "no-such-host.invalid" does not resolve: ')


def test_a_certificate_is_checked(told):
    messages = told(
        f'ssl_certificate = "{DATA}/tls_localhost.crt"\nssl_certificate_key = "{DATA}/tls_other.key"\n'
    )
    assert f"the key is not that of the certificate {DATA}/tls_localhost.crt" in messages


def test_a_module_that_raises_is_named_with_its_own_line(told, tmp_path):
    (tmp_path / "filters.py").write_text("import os\nclass A:\n    x = 1 / 0\n")
    messages = told('[[modules]]\npath = "filters.py"\nclass = "A"\n')
    assert messages == ["cannot load filters.py: ZeroDivisionError: division by zero"]
    assert "filters" not in sys.modules


def test_a_balancer_that_does_not_exist(told, tmp_path):
    (tmp_path / "mine.py").write_text("class A: ...\n")
    text = '[[proxy.rules]]\nupstream = "http://127.0.0.1:1"\nload_balancing = "mine:B"\n'
    assert told(text) == ["B does not exist in mine"]


def test_a_module_that_ends_the_process_does_not_end_us():
    assert complaints_as_user(lambda: os._exit(3), None, None) == (
        Complaint("loading the modules ended the process that checks them"),
    )


def test_a_module_that_hangs_is_given_up():
    def hang():
        while True:
            pass

    assert complaints_as_user(hang, None, None, timeout_seconds=0.3) == (
        Complaint("loading the modules took longer than 0.3 s"),
    )


@NEEDS_ROOT
def test_modules_are_loaded_as_the_user_that_the_workers_will_be():
    def look():
        raise ConfigError([Complaint(f"{os.getuid()} {os.geteuid()} {os.getgroups()[:1]}")])

    import pwd

    entry = pwd.getpwnam("nobody")
    (found,) = complaints_as_user(look, "nobody", None)
    assert found.message == f"{entry.pw_uid} {entry.pw_uid} [{entry.pw_gid}]"
    assert os.geteuid() == 0


def test_exit_codes_and_the_verdict(tmp_path, capsys):
    file = tmp_path / "c.toml"
    file.write_text(
        f'[global]\nrun_dir = 1\nruntime_dir = "{tmp_path}"\naccess_log = "off"\n'
        f'[network]\nlisten = "unix:{tmp_path}/s"\n'
    )
    assert check(read_source(str(file))) == 78
    assert capsys.readouterr().err.endswith(f"{file}: refused (1 error)\n")
    file.write_text(file.read_text().replace("run_dir = 1\n", ""))
    assert check(read_source(str(file))) == 0
    assert capsys.readouterr().err == f"{file}: can be used\n"
    assert check(read_source(str(file)), quiet=True) == 0
    assert capsys.readouterr() == ("", "")
    file.write_text(file.read_text() + "[health_check]\ninterval = 1\n")
    assert check(read_source(str(file)), strict=True, as_json=True) == 78
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], [c["key"] for c in report["complaints"]]) == (
        False,
        ["health_check.interval"],
    )


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot read it: No such file or directory"):
        read_source(str(tmp_path / "none.toml"))


def test_the_effective_configuration_is_printed(tmp_path, capsys):
    own = f'[global]\naccess_log = "off"\nruntime_dir = "{tmp_path}"\n'
    own += f'[network]\nlisten = "unix:{tmp_path}/s"\n'
    assert dump(ConfigSource("c", own.encode())) == 0
    assert 'access_log = "off" ' in capsys.readouterr().out
    # What would not start is shown as well, with the reason and the exit code of -t.
    missing = SEED.replace("/etc/ssl", "/absent")
    assert dump(ConfigSource("c", missing.encode())) == 78
    said = capsys.readouterr()
    assert "pid_file = " in said.out
    assert "cannot read /absent/certs/pingora.crt" in said.err
    assert dump(ConfigSource("c", b"x"), as_json=True) == 78
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_ten_thousand_rules_load_in_reasonable_time_and_a_mistake_in_them_is_placed(tmp_path):
    rules = "".join(
        f'[[proxy.rules]]\npath = "/s{n}/*"\nupstream = "http://10.0.{n // 250}.{n % 250}:80"\n'
        for n in range(10_000)
    )
    (tmp_path / "c.toml").write_text(rules + "[globl]\n")
    code = (
        "import resource, sys\nfrom pingpy.config.load import load\n"
        "from pingpy.config.source import ConfigSource\n"
        "try: load(ConfigSource.read(sys.argv[1]))\nexcept Exception as error: print(error)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\nprint(used.ru_utime + used.ru_stime)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c.toml")],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    *message, seconds = done.stdout.splitlines()
    assert message[0].endswith('c.toml:30001:1: unknown key "globl" at the top level')
    # A third of this on a quiet machine; the bound tells a search that became quadratic.
    assert float(seconds) < 20
