"""The command line: nginx's letters and readable verbs."""

from __future__ import annotations

import sys
from typing import Any

import click

from pingpy import __version__
from pingpy.cli import control
from pingpy.errors import ConfigError

EXIT_USAGE = 2
EXIT_CONFIG = 78
SIGNAL_VERBS = ("stop", "quit", "reload", "reopen", "upgrade", "pause", "resume")

QUICK_START = """\
pingpy: a reverse proxy that reloads without losing a request

  pingpy proxy :8080 http://127.0.0.1:3000    a proxy without a file
  pingpy demo                                 two origins, a proxy, three things to try
  pingpy -c config.toml                       serve what a file says (-d: in the background)
  pingpy -t -c config.toml                    is the file good? (-T: and what does it amount to?)
  pingpy reload -c config.toml                take the file's new content into service
  pingpy status                               what is running
  pingpy doctor -c config.toml                what can this host do, is TLS what it should be?
  pingpy --help                               everything else
"""


class Verbs(click.Group):
    """Loads what a verb needs only when it is used: -t must not import the master, nor reload the demo."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """For --help."""
        return [*control.VERBS, "config", "demo", "doctor", "proxy"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """By name."""
        if cmd_name in control.VERBS:
            return control.command(cmd_name)
        if cmd_name == "doctor":
            from pingpy.cli import doctor

            return doctor.doctor
        from pingpy.cli import verbs

        commands = {"proxy": verbs.proxy, "demo": verbs.demo, "config": verbs.config}
        return commands.get(cmd_name)


def versions(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """-V: what it was built with and runs on."""
    if not wanted or ctx.resilient_parsing:
        return
    from pingpy.cli import doctor

    doctor.print_versions()
    ctx.exit()


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("-c", "--conf", "--config", "path", metavar="FILE", help="The configuration file.")
@click.option("-t", "test", is_flag=True, help="Test the configuration, serve nothing.")
@click.option("-T", "dump", is_flag=True, help="Test it and print it, defaults included.")
@click.option("-q", "quiet", is_flag=True, help="With -t: say nothing when all is well.")
@click.option(
    "--no-bind",
    is_flag=True,
    help="With -t: leave the ports alone; a manager may hold them for us.",
)
@click.option("--json", "as_json", is_flag=True, help="With -t and -T: for machines.")
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("-d", "--daemon", is_flag=True, help="Go to the background when ready.")
@click.option("-u", "--upgrade", is_flag=True, help="Take over from the running instance.")
@click.option("-s", "signal", type=click.Choice(SIGNAL_VERBS), help="Tell the running instance.")
@click.option("-V", is_flag=True, expose_value=False, is_eager=True, callback=versions)
@click.version_option(__version__, "-v", "--version", message="pingpy %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, path: str | None, **options: Any) -> None:
    """A reverse proxy, load balancer, web server and API gateway that reloads without losing a request."""
    ctx.obj = path
    if ctx.invoked_subcommand is not None:
        return
    if options["signal"]:
        raise SystemExit(control.tell(options["signal"], path))
    if path is None:
        print(QUICK_START, end="", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)
    raise SystemExit(test_or_serve(path, **options))


def test_or_serve(path: str, **options: Any) -> int:
    """-t, -T, or the service itself."""
    if options["test"] or options["dump"]:
        from pingpy.cli import check

        try:
            source = check.read_source(path)
        except ConfigError as error:
            print(error, file=sys.stderr)
            return EXIT_CONFIG
        if options["dump"]:
            return check.dump(source, as_json=options["as_json"], strict=options["strict"])
        return check.check(
            source,
            strict=options["strict"],
            as_json=options["as_json"],
            quiet=options["quiet"],
            bind=not options["no_bind"],
        )
    from pingpy.cli.run import serve_file

    return serve_file(
        path, upgrade=options["upgrade"], daemon=options["daemon"], strict=options["strict"]
    )


def main() -> None:
    """The console script."""
    cli(prog_name="pingpy")
