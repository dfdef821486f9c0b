"""Runs inside a booted systemd: installs pingpy, drives the shipped unit, prints what it saw: a line of JSON a scene.

    python systemd_scenario.py CHECKOUT SITE_PACKAGES

Nothing is judged here; test_systemd_box does that, once for all of it, because a boot and an installation are dear.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from without_pause import WithoutPause

CONFIG = Path("/etc/pingpy/config.toml")
LOG = Path("/var/log/pingpy/access.log")
UNIT = "pingpy.service"
SECONDS = 30.0
BROKEN = "[network]\nlisten = 80\nlisten_too = 1\n"
TEXT = """\
[global]
worker_threads = 2
probation = 1
drain_linger = 1
[network]
listen = ["0.0.0.0:80"]
[[proxy.rules]]
path = "/says"
respond = { status = 200, body = "%s" }
"""


def run(*command: str, seconds: float = SECONDS) -> tuple[int, str]:
    """A command's exit code and all it printed."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    return done.returncode, done.stdout


def until(condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """The first true value, or the last one when the time is over: the test tells what is wrong with it."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


def get(path: str, seconds: float = 10) -> str:
    """A page's text; "" when there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def version() -> str:
    """What the serving workers say they are."""
    for line in get("/metrics").splitlines():
        if line.startswith("pingpy_build_info{"):
            return line.split('version="')[1].split('"')[0]
    return ""


def shown(name: str) -> str:
    """A property of the unit."""
    return run("systemctl", "show", "-P", name, UNIT)[1].strip()


def main_pid() -> int:
    return int(shown("MainPID") or 0)


def write(word: str) -> None:
    CONFIG.write_text(TEXT % word)
    CONFIG.chmod(0o644)


class Load(WithoutPause):
    """New connections without pause; what got no answer is told."""

    def __init__(self) -> None:
        super().__init__(pause_seconds=0.003)
        self.answered = 0
        self.failures: list[str] = []

    def turn(self) -> None:
        if get("/says", 30):
            self.answered += 1
        else:
            self.failures.append(f"{time.monotonic():.3f}")

    def told(self) -> dict[str, Any]:
        return {"answered": self.answered, "failures": self.failures}


def install(checkout: Path, site: Path) -> None:
    """Two versions below /opt/pingpy-*, a link to the current one, and one in /usr/local/bin."""
    base = Path("/opt/python")
    base.mkdir()
    # The machine's own interpreter may lie in a home, which the unit does not show to the service.
    subprocess.run(["mount", "--bind", sys.base_prefix, str(base)], check=True)
    Path("/etc/ld.so.conf.d/00-python.conf").write_text(
        f"{base}/lib\n"
    )  # for one with a shared library
    subprocess.run(["/sbin/ldconfig"], check=True)
    interpreter = f"{base}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    dependencies = Path("/opt/dependencies")
    dependencies.mkdir()
    subprocess.run(["mount", "--bind", str(site), str(dependencies)], check=True)
    for number in ("1", "2"):
        home = Path(f"/opt/pingpy-{number}")
        subprocess.run([interpreter, "-m", "venv", "--without-pip", str(home)], check=True)
        packages = next((home / "lib").glob("python3*")) / "site-packages"
        (packages / "dependencies.pth").write_text(f"{dependencies}\n")
        for name in ("pingpy", "master", "worker"):
            shutil.copytree(
                checkout / name, packages / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        marked = packages / "pingpy" / "__init__.py"
        marked.write_text(
            marked.read_text().replace('__version__ = "', f'__version__ = "{number}.')
        )
        command = home / "bin" / "pingpy"
        command.write_text(
            "#!/opt/pingpy/bin/python -P\nimport sys\nfrom pingpy.__main__ import main\nsys.exit(main())\n"
        )
        command.chmod(0o755)
    use("1")
    Path("/usr/local/bin/pingpy").unlink(missing_ok=True)
    Path("/usr/local/bin/pingpy").symlink_to("/opt/pingpy/bin/pingpy")
    deploy = checkout / "deploy" / "systemd"
    for name in ("pingpy.service", "pingpy.socket"):
        shutil.copy(deploy / name, f"/etc/systemd/system/{name}")
    subprocess.run(["systemd-sysusers", str(deploy / "pingpy.sysusers")], check=True)
    subprocess.run(["systemd-tmpfiles", "--create", str(deploy / "pingpy.tmpfiles")], check=True)
    CONFIG.parent.mkdir(exist_ok=True)
    subprocess.run(["systemctl", "daemon-reload"], check=True)


def use(number: str) -> None:
    """Make this version the installed one, at one stroke."""
    link = Path("/opt/pingpy.new")
    link.unlink(missing_ok=True)
    link.symlink_to(f"pingpy-{number}")
    link.rename("/opt/pingpy")


# ---- the scenes


def starts() -> dict[str, Any]:
    write("first")
    code, said = run("systemctl", "start", UNIT)
    return {
        "code": code,
        "said": said,
        "journal": "" if code == 0 else run("journalctl", "--no-pager", "-u", UNIT)[1],
        "state": shown("ActiveState"),
        "user": run("ps", "-o", "user=", "-p", str(main_pid()))[1].strip(),
        "says": get("/says"),
        "version": version(),
    }


def is_confined() -> dict[str, Any]:
    return {"said": run("systemd-analyze", "security", "--no-pager", UNIT)[1]}


def upgrades() -> dict[str, Any]:
    before = main_pid()
    with Load() as load:
        until(lambda: load.answered > 20)
        use("2")
        write("second")
        code, said = run("systemctl", "reload", UNIT, seconds=120)
        until(lambda: version().startswith("2."))
        seen = load.answered
        until(lambda: load.answered > seen + 20)
    found = {"code": code, "said": said, "version": version(), "says": get("/says"), **load.told()}
    return {**found, "before": before, "after": main_pid(), "state": shown("ActiveState")}


def refuses_a_broken_file() -> dict[str, Any]:
    before = main_pid()
    with Load() as load:
        CONFIG.write_text(BROKEN)
        code, said = run("systemctl", "reload", UNIT, seconds=120)
        status = run("systemctl", "status", "--no-pager", "-n", "50", UNIT)[1]
        says = get("/says")
    write("second")
    found = {"code": code, "said": said, "status": status, "says": says, **load.told()}
    return {**found, "same": before == main_pid()}


def reloads_on_a_signal_to_all() -> dict[str, Any]:
    before = main_pid()
    write("third")
    with Load() as load:
        code, said = run("systemctl", "kill", "-s", "HUP", UNIT)
        says = until(lambda: get("/says") == "third" and "third")
    return {"code": code, "said": said, "says": says, "same": before == main_pid(), **load.told()}


def reopens_its_log() -> dict[str, Any]:
    moved = LOG.with_suffix(".log.1")
    LOG.rename(moved)
    script = Path(sys.argv[1], "deploy/systemd/pingpy.logrotate").read_text()
    postrotate = script.split("postrotate\n")[1].split("endscript")[0]
    code, said = run("sh", "-ec", postrotate)
    until(LOG.exists)
    get("/says?after-the-rotation")
    found = until(lambda: LOG.exists() and "after-the-rotation" in LOG.read_text(), 20)
    return {
        "code": code,
        "said": said,
        "written": bool(found),
        "owner": LOG.owner(),
        "moved": moved.exists(),
    }


def comes_back_after_its_master_was_killed() -> dict[str, Any]:
    before = main_pid()
    run("kill", "-9", str(before))
    after = until(lambda: (pid := main_pid()) not in (0, before) and pid)
    return {"before": before, "after": after, "says": until(lambda: get("/says"))}


def keeps_its_queue_when_all_are_killed() -> dict[str, Any]:
    before = main_pid()
    run("systemctl", "kill", "-s", "KILL", UNIT)
    until(lambda: not Path(f"/proc/{before}").exists())
    refused, waiting = 0, []
    for _ in range(20):  # nobody is there: the kernel takes them, if the socket has survived
        try:
            waiting.append(socket.create_connection(("127.0.0.1", 80), timeout=30))
            waiting[-1].sendall(b"GET /says HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        except OSError:
            refused += 1
    dead = shown("ActiveState") != "active"
    answers = [answer(connection) for connection in waiting]
    return {"refused": refused, "answers": answers, "dead": dead, "state": until(is_active)}


def gives_a_port_up() -> dict[str, Any]:
    """The manager's copy of a socket must go with the address, else clients would hang in a queue that nobody reads."""
    CONFIG.write_text((TEXT % "both").replace('"0.0.0.0:80"', '"0.0.0.0:80", "0.0.0.0:81"'))
    added = run("systemctl", "reload", UNIT, seconds=120)
    opened = knock(81)
    run("systemctl", "kill", "-s", "KILL", UNIT)
    kept = knock(81)
    until(lambda: get("/says") == "both" and is_active())
    write("third")
    removed = run("systemctl", "reload", UNIT, seconds=120)
    closed = until(lambda: not knock(81))
    run("systemctl", "restart", UNIT)
    found = {"added": added, "opened": opened, "kept": kept, "removed": removed, "closed": closed}
    return {**found, "says": until(lambda: get("/says")), "still_closed": not knock(81)}


def knock(port: int) -> bool:
    """Whether a connection is taken."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True


def is_active() -> str:
    state = shown("ActiveState")
    return state if state == "active" else ""


def answer(connection: socket.socket) -> str:
    """The status line of what comes on a connection."""
    got = b""
    try:
        while part := connection.recv(65536):
            got += part
    except OSError as error:
        return repr(error)
    return got.split(b"\r\n")[0].decode()


def is_watched() -> dict[str, Any]:
    """A master that does nothing any more is replaced by the manager."""
    folder = Path(f"/run/systemd/system/{UNIT}.d")
    folder.mkdir(exist_ok=True)
    (folder / "watchdog.conf").write_text("[Service]\nWatchdogSec=3\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", UNIT)
    before = main_pid()
    time.sleep(4)  # longer than it may be silent
    lived = before == main_pid()
    run("kill", "-STOP", str(before))
    after = until(lambda: (pid := main_pid()) not in (0, before) and pid)
    return {"lived": lived, "before": before, "after": after, "says": until(lambda: get("/says"))}


def journal() -> dict[str, Any]:
    run("journalctl", "--sync")
    entries = run("journalctl", "--no-pager", "-o", "json", "-u", UNIT)[1].splitlines()
    kept = [json.loads(entry) for entry in entries]
    return {
        "messages": [
            (entry.get("PRIORITY"), entry["MESSAGE"])
            for entry in kept
            if entry.get("_COMM", "").startswith(("pingpy", "python"))
            and entry.get("_TRANSPORT") == "stdout"
        ]
    }


def is_activated_by_its_socket() -> dict[str, Any]:
    run("systemctl", "stop", UNIT)
    stopped = shown("ActiveState")
    unit = Path("/etc/systemd/system/pingpy.socket")
    unit.write_text(unit.read_text().replace("ListenStream=[::]:80\n", ""))  # the box has no IPv6
    run("systemctl", "daemon-reload")
    code, said = run("systemctl", "start", "pingpy.socket")
    idle = shown("ActiveState")
    says = get("/says", 60)
    names = run("pingpy", "status", "-c", str(CONFIG), "--json")[1]
    run("systemctl", "stop", "pingpy.socket", UNIT)
    left = run("pgrep", "-u", "pingpy")[1].split()
    told = run("journalctl", "--no-pager", "-n", "30", "-u", UNIT, "-u", "pingpy.socket")[1]
    found = {"code": code, "said": said + told, "stopped": stopped, "idle": idle, "says": says}
    return {**found, "status": names, "left": left, "failed": shown("Result")}


SCENES: tuple[Callable[[], dict[str, Any]], ...] = (
    starts,
    is_confined,
    upgrades,
    refuses_a_broken_file,
    reloads_on_a_signal_to_all,
    reopens_its_log,
    comes_back_after_its_master_was_killed,
    keeps_its_queue_when_all_are_killed,
    gives_a_port_up,
    is_watched,
    journal,
    is_activated_by_its_socket,
)


def main() -> None:
    install(Path(sys.argv[1]), Path(sys.argv[2]))
    for scene in SCENES:
        began = time.monotonic()
        seen = scene() | {"seconds": round(time.monotonic() - began, 1)}
        print(json.dumps({scene.__name__: seen}), flush=True)
        if scene is starts and not seen["says"]:
            break  # nothing else can be seen either


if __name__ == "__main__":
    main()
