"""Runs the service: ties the configuration, the master and the workers' entries together."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pingpy.config.rehearsal import rehearse
from pingpy.config.source import ConfigSource
from pingpy.errors import ConfigError, render_complaints

if TYPE_CHECKING:
    from master.checker import Answer
    from master.estate import Setup
    from pingpy.app import ProxyApp

EXIT_FAILED = 1
HOME = Path(__file__).resolve().parents[2]


def refuse_strangers() -> None:
    """`master` and `worker` are common names: what is imported must stand beside this package.

    A stranger's worker.py in the current folder would else be run with our privileges.
    """
    for name in ("master", "worker"):
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found is None or found != HOME / name / "__init__.py":
            print(
                f"pingpy: the package {name!r} is not the one installed with pingpy ({found});\n"
                f"start pingpy in another folder, or with python -P",
                file=sys.stderr,
            )
            raise SystemExit(EXIT_FAILED)


def judge(
    source: ConfigSource, held: Collection[str], *, strict: bool = False, lenient: bool = False
) -> Answer:
    """The same judgement as -t, as the master's checker gives it; names are looked up later, by the scout."""
    from master.checker import Answer
    from pingpy.config.load import examine
    from pingpy.config.plan import plan

    try:
        if lenient:
            examined = examine(source)
            return Answer(plan(examined.config), "", render_complaints(examined.warnings()))
        rehearsed = rehearse(source, held=held, look_up_names=False, strict=strict)
    except ConfigError as error:
        return Answer(None, str(error))
    return Answer(rehearsed.plan, "", render_complaints(rehearsed.warnings))


def serve(
    read: Callable[[], ConfigSource],
    *,
    app: ProxyApp[Any] | None = None,
    upgrade: bool = False,
    daemon: bool = False,
    strict: bool = False,
) -> int:
    """Be the master until the service ends; the exit code."""
    refuse_strangers()
    from master.boot import run
    from master.estate import Setup
    from master.successor import CHANNEL_VARIABLE, Origin
    from worker.main import main as worker
    from worker.scout import main as scout

    background = None
    origin = Origin.note()
    if daemon and CHANNEL_VARIABLE not in os.environ:
        from pingpy.cli.daemon import daemonize

        background = daemonize()
    setup: Setup = Setup(
        read=read,
        check=partial(judge, strict=strict),
        check_lenient=partial(judge, lenient=True),
        worker=worker if app is None else partial(worker, app=app),
        scout=scout,
        origin=origin,
        upgrade=upgrade,
        background=background,
    )
    return run(setup)


def serve_file(path: str, **options: Any) -> int:
    """Serve what this file says; it is read anew at every reload."""
    return serve(lambda: ConfigSource.read(path), **options)


def serve_source(source: ConfigSource) -> int:
    """Serve this text; a reload reads its file again, if there is one."""

    def read() -> ConfigSource:
        return ConfigSource.read(source.path) if os.path.exists(source.path) else source

    return serve(read)


def serve_app(app: ProxyApp[Any], config: str) -> NoReturn:
    """Serve a program's own application; ends the process."""
    raise SystemExit(serve_file(config, app=app))
