"""`pingpy demo`: a proxy in front of two small origins of different weight, and three things to try with it."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pingpy.config.source import ConfigSource

LISTEN = "127.0.0.1:8080"
ELSEWHERE = "pingpy demo 127.0.0.1:9080, or scripts/run 127.0.0.1:9080"
EXIT_CONFIG = 78  # what a start says of a port that is taken
WEIGHTS = {"the-hare": 2, "the-tortoise": 1}
ORIGIN = Path(__file__).with_name("demo_origin.py")

CONFIG = """\
[global]
worker_threads = 2
runtime_dir = "{folder}"
access_log = "stdout"

[network]
listen = ["{listen}"]

[health_check]
interval = 1
timeout = 1
path = "/healthz"
expected_status = [200, 204]
"""

BACKEND = """
[[load_balancing.backends]]
name = "{name}"
address = "127.0.0.1:{port}"
weight = {weight}
"""

WELCOME = """\
pingpy is in front of two origins, of which one gets twice the other's traffic. Try, in another terminal:

  for i in 1 2 3 4 5 6; do curl -si http://{listen}/ | grep X-Origin; done
  kill {hare}        # the hare is gone: ask again, not one request fails
  curl -s http://{listen}/metrics | grep -e requests_total -e upstream_up

Its configuration is {path}. Ctrl-C ends it.
"""


@dataclass(frozen=True)
class Origin:
    """A running origin."""

    name: str
    port: int
    pid: int


@contextmanager
def origin(name: str) -> Iterator[Origin]:
    """An origin in a process of its own, on a port that the kernel chose."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-P", str(ORIGIN), name, str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    try:
        yield Origin(name, port, process.pid)
    finally:
        # The end of its standard input would do, were there not workers that inherited the other end.
        process.terminate()
        process.wait()


def configuration(folder: str, listen: str, origins: list[Origin]) -> str:
    """The file that the proxy runs from."""
    backends = [BACKEND.format(name=o.name, port=o.port, weight=WEIGHTS[o.name]) for o in origins]
    return CONFIG.format(folder=folder, listen=listen) + "".join(backends)


def is_free(listen: str) -> bool:
    """Whether we could listen there; what is no address at all is for the configuration to say."""
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        return True
    try:
        with socket.create_server((host.strip("[]"), int(port))):
            return True
    except (OSError, OverflowError) as error:
        return getattr(error, "errno", 0) != errno.EADDRINUSE


def demo(run: Callable[[ConfigSource], int], listen: str = LISTEN) -> int:
    """Start two origins and run the proxy, by the same way as any other, until it is told to end; its exit code."""
    if not is_free(listen):
        print(f"pingpy: {listen} is in use; name another address: {ELSEWHERE}", file=sys.stderr)
        return EXIT_CONFIG
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pingpy-demo-"))
        origins = [stack.enter_context(origin(name)) for name in WEIGHTS]
        path = Path(folder) / "config.toml"
        path.write_text(configuration(folder, listen, origins))
        print(WELCOME.format(listen=listen, hare=origins[0].pid, path=path), flush=True)
        return run(ConfigSource.read(path))
