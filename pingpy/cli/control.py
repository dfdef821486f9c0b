"""Verbs that tell a running instance something, over its control socket, and report its answer."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import time
from typing import Any

import click

from pingpy.config.load import load
from pingpy.config.plan import runtime_dir
from pingpy.config.schema import Config, Global
from pingpy.config.source import ConfigSource
from pingpy.errors import ConfigError

VERBS = {
    "reload": "Take the file's new content into service; wait for the verdict.",
    "upgrade": "Replace the running program by the one on disk; wait for the verdict.",
    "reopen": "Open the log files anew (after they were moved).",
    "stop": "Stop gracefully (--fast: within two seconds).",
    "quit": "Stop gracefully.",
    "pause": "Drain the workers, keep the listeners.",
    "resume": "End a pause.",
    "status": "What is running.",
    "workers": "Every worker of every generation.",
}
QUEUE_LOOK_SECONDS = 0.02
EXIT_FAILED = 1
EXIT_TIMEOUT = 5
EXIT_NOT_RUNNING = 6
EXIT_PERMISSION = 77
EXIT_CONFIG = 78
SOCKET_NAME = "control.sock"
MAX_ANSWER_BYTES = 4 * 1024 * 1024


def command(verb: str) -> click.Command:
    """The click command of a verb."""
    params: list[click.Parameter] = [
        click.Option(["-c", "--config", "path"], metavar="FILE", help="Its configuration file."),
        click.Option(["--wait/--no-wait"], default=True, help="Wait for the result (the default)."),
        click.Option(["--timeout"], type=float, metavar="SECONDS", help="Wait at most so long."),
        click.Option(["--json", "as_json"], is_flag=True, help="The answer for machines."),
    ]
    if verb in ("reload", "upgrade"):
        params.append(
            click.Option(["--no-probation"], is_flag=True, help="Return when the new one accepts.")
        )
    if verb == "reload":
        params += [
            click.Option(["--dry-run"], is_flag=True, help="Only check the file."),
            click.Option(["--diff"], is_flag=True, help="Show what changes; does not reload."),
        ]
    if verb == "stop":
        params.append(click.Option(["--fast"], is_flag=True, help="Cut what takes longer."))

    def callback(path: str | None, **options: Any) -> None:
        parent = click.get_current_context().parent
        path = path or (parent.obj if parent else None)
        raise SystemExit(tell(verb, path, **options))

    return click.Command(verb, callback=callback, params=params, help=VERBS[verb])


def tell(
    verb: str,
    path: str | None,
    *,
    timeout: float | None = None,
    as_json: bool = False,
    dry_run: bool = False,
    diff: bool = False,
    **options: Any,
) -> int:
    """Ask, wait, show; the exit code."""
    folder = instance_folder(path)
    if dry_run or diff:
        from pingpy.cli.dry_run import dry_run as judge

        running = exchange(folder, {"type": "COMMAND", "verb": "config"}, timeout)
        return judge(path, running, diff=diff, as_json=as_json)
    request = {"type": "COMMAND", "verb": verb, "options": options}
    answer = exchange(folder, request, timeout)
    if answer.get("moved"):
        answer = exchange(
            folder, request, timeout
        )  # an upgrade was under way: its new master listens now
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        show(verb, answer)
    code = answer.get("code", EXIT_FAILED)
    return code if isinstance(code, int) else EXIT_FAILED


def instance_folder(path: str | None) -> str:
    """Where the instance of this file listens; without one, the default place."""
    own = Global()
    if path is not None:
        own = _global_of(path)
    return runtime_dir(own, os.environ, os.geteuid())


def _global_of(path: str) -> Global:
    """Its runtime_dir counts even when the rest of the file is broken: that is for the master to say."""
    import tomllib

    try:
        source = ConfigSource.read(path)
    except OSError as error:
        print(f"pingpy: cannot read {path}: {error.strerror}", file=sys.stderr)
        raise SystemExit(EXIT_CONFIG) from error
    try:
        return load(source).global_
    except ConfigError:
        try:
            table = tomllib.loads(source.text.decode()).get("global", {})
            folder = table.get("runtime_dir") if isinstance(table, dict) else None
        except ValueError:
            folder = _runtime_dir_line(source.text)
        return Config().global_.model_copy(
            update={"runtime_dir": folder if isinstance(folder, str) else None}
        )


def _runtime_dir_line(text: bytes) -> str | None:
    """The key's value in a file that is not TOML at the moment."""
    found = re.search(rb'^\s*runtime_dir\s*=\s*["\']([^"\'\n]+)["\']', text, re.MULTILINE)
    return found[1].decode(errors="surrogateescape") if found else None


def exchange(folder: str, request: dict[str, Any], timeout: float | None) -> dict[str, Any]:
    """One question, one answer; a stop is answered by the end of the connection."""
    path = os.path.join(folder, SOCKET_NAME)
    deadline = None if timeout is None else time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        try:
            sock.settimeout(timeout)
            connect(sock, path, deadline)
            with contextlib.suppress(BrokenPipeError):
                sock.send(json.dumps(request).encode())
            if deadline is not None:
                sock.settimeout(max(0.01, deadline - time.monotonic()))
            data = receive(sock)
        except (FileNotFoundError, ConnectionRefusedError):
            return {"code": EXIT_NOT_RUNNING, "text": f"not running (nobody listens at {path})"}
        except PermissionError:
            return {"code": EXIT_PERMISSION, "text": f"no permission for {path}"}
        except TimeoutError:
            return {"code": EXIT_TIMEOUT, "text": f"no result within {timeout:g} s"}
        except (ConnectionResetError, BrokenPipeError):
            data = b""
    if not data:
        stopping = request.get("verb") in ("stop", "quit")
        text = "stopped" if stopping else "the instance ended before it answered"
        return {"code": 0 if stopping else EXIT_FAILED, "text": text}
    answer: dict[str, Any] = json.loads(data)
    return answer


def connect(sock: socket.socket, path: str, deadline: float | None) -> None:
    """Connect; a full queue, which a socket with a timeout does not wait for, is waited for. Raises OSError."""
    while True:
        try:
            sock.connect(path)
        except BlockingIOError:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(QUEUE_LOOK_SECONDS)
        else:
            return


def receive(sock: socket.socket) -> bytes:
    """The answer. An instance that refuses to listen answers and closes: the reset comes before the answer."""
    try:
        return sock.recv(MAX_ANSWER_BYTES)
    except ConnectionResetError:
        return sock.recv(MAX_ANSWER_BYTES)


def show(verb: str, answer: dict[str, Any]) -> None:
    """For people: failures on stderr."""
    if answer.get("code"):
        print(f"pingpy: {answer.get('text', '')}", file=sys.stderr)
        return
    if verb in ("status", "workers") and "generations" in answer:
        from pingpy.cli.show import render

        print("\n".join(render(answer)))
    else:
        print(answer.get("text", ""))
