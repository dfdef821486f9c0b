"""Verbs that need no running instance: a proxy without a file, the demo, what a configuration may contain."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import click

from pingpy.config.source import ConfigSource

PROXY_CONFIG = """\
[global]
runtime_dir = {folder}
access_log = "stdout"

[network]
listen = {listen}
{backends}"""
BACKEND = """
[[load_balancing.backends]]
name = {name}
address = {address}
"""


@click.command()
@click.argument("listen")
@click.argument("upstreams", nargs=-1, required=True)
def proxy(listen: str, upstreams: tuple[str, ...]) -> None:
    """Proxy LISTEN (":8080") to one or several UPSTREAMS ("http://127.0.0.1:3000"), without a file."""
    from pingpy.cli.run import serve_source

    with tempfile.TemporaryDirectory(prefix="pingpy-proxy-") as folder:
        text = proxy_config(folder, listen, upstreams)
        path = Path(folder) / "config.toml"
        path.write_text(text)
        print(f"its configuration, to start from: {path}", file=sys.stderr)
        raise SystemExit(serve_source(ConfigSource.read(path)))


def proxy_config(folder: str, listen: str, upstreams: tuple[str, ...]) -> str:
    """The file that the command line stands for."""
    # A JSON string is a TOML basic string.
    quote = json.dumps
    backends = "".join(
        BACKEND.format(name=quote(f"upstream-{i}"), address=quote(address(upstream)))
        for i, upstream in enumerate(upstreams, 1)
    )
    return PROXY_CONFIG.format(folder=quote(folder), listen=quote([listen]), backends=backends)


def address(upstream: str) -> str:
    """host:port of an upstream URL, as backends are written."""
    scheme, separator, rest = upstream.partition("://")
    if not separator:
        return upstream
    rest = rest.rstrip("/")
    if scheme == "https":
        raise click.UsageError("https upstreams need a file: see `upstream` in a rule")
    return rest if ":" in rest.rpartition("]")[2] else f"{rest}:80"


@click.command()
@click.argument("listen", default="127.0.0.1:8080")
def demo(listen: str) -> None:
    """A proxy on LISTEN (127.0.0.1:8080) in front of two origins, and three things to try."""
    from pingpy.cli import demo as show
    from pingpy.cli.run import serve_source

    raise SystemExit(show.demo(serve_source, listen))


@click.command()
@click.argument("what", type=click.Choice(["reference", "sample", "schema"]))
def config(what: str) -> None:
    """Print every configuration key with its default: as a page or as a file; or the JSON schema for editors."""
    from pingpy.cli import check

    printers = {
        "reference": check.print_reference,
        "sample": check.print_sample,
        "schema": check.print_schema,
    }
    try:
        code = printers[what]()
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    raise SystemExit(code)
