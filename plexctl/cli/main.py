"""The command line: `plexctl`. Commands import what they need when they run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from plexctl import __version__
from plexctl.cli import depot, flux, host, lab, nodes, plexes, plexhocs, registry, secret, timeline
from plexctl.cli.start import start
from plexctl.errors import ExitCode, Interrupted, PlexError

Verb = Callable[..., None] | typer.Typer
"""A command, or a group of them."""


class Verbs(Mapping[str, Any]):
    """The library's commands by name, each built when it is asked for: building all of them takes
    as long as what most of them do.
    """

    def __init__(self, verbs: Mapping[str, Mapping[str, Verb]]) -> None:
        self._verbs = {
            name: (panel, v) for panel, those in verbs.items() for name, v in those.items()
        }
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            panel, verb = self._verbs[name]
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            if isinstance(verb, typer.Typer):
                alone.add_typer(verb, name=name, rich_help_panel=panel)
                built = typer.main.get_group(alone).commands[name]
            else:
                alone.command(name, rich_help_panel=panel)(verb)
                built = typer.main.get_command(alone)
            self._built[name] = built
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._verbs)

    def __len__(self) -> int:
        return len(self._verbs)


class Sections(TyperGroup):
    """A group whose help lists its commands by what they are about."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = Verbs(VERBS)  # type: ignore[assignment]  # the library only reads it

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            panel = str(getattr(command, "rich_help_panel", None) or "Commands")
            text = command.get_short_help_str(formatter.width - 6 - WIDEST)
            sections.setdefault(panel, []).append((f"{name:{WIDEST}}", text))
        for panel, rows in sections.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


WIDEST = len("kubeconfig")

app = typer.Typer(
    name="plexctl",
    cls=Sections,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: rich takes as long to import as all else together
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The console entry. Ends the process; whatever happens, a user sees no traceback."""
    start()
    try:
        app(prog_name="plexctl")
    except PlexError as error:
        _show(error)
        sys.exit(error.exit_code)
    except Interrupted as interrupted:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + interrupted.number)
    except Exception as error:  # noqa: BLE001 - the last stop
        from plexctl.cli.crash import as_bug

        _show(as_bug(error))
        sys.exit(ExitCode.FAILED)


def _show(error: PlexError) -> None:
    """Text to standard error; with `--json` also one object to standard output, as an answer."""
    from plexctl.render.errors import colors, error_json, error_text

    print(error_text(error, color=colors(sys.stderr.isatty())), file=sys.stderr)
    options = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    if "--json" in options:
        print(error_json(error), flush=True)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"plexctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    directory: Annotated[
        Path | None,
        typer.Option(
            "-C", "--directory", metavar="DIR", help="The lab is this folder or one above it."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Real Kubernetes labs on Incus hosts, baked once and recreated in seconds.

    Ends with 0 when done, 1 if it failed, 2 on wrong usage or configuration; `plan` and
    `flux diff` with 3 if there are changes, `ssh` and `exec` with the code of the remote command.
    """


VERBS: Mapping[str, Mapping[str, Verb]] = {
    "On a plex": {
        "plan": plexes.plan,
        "up": plexes.up,
        "scale": plexes.scale,
        "status": plexes.status,
        "timeline": timeline.timeline,
        "kubeconfig": lab.kubeconfig,
        "flux": flux.flux,
        "engine": plexes.engine,
        "destroy": plexes.destroy,
    },
    "On nodes": {
        "replace": nodes.replace,
        "ssh": nodes.ssh,
        "exec": nodes.execute,
        "logs": nodes.logs,
    },
    "Before there are nodes": {"bake": depot.bake, "depot": depot.depot},
    "On the lab": {
        "init": lab.init,
        "list": lab.list_,
        "use": lab.use,
        "inventory": lab.inventory,
        "import": plexhocs.import_,
        "export": plexhocs.export,
        "host": host.host,
        "registry": registry.registry,
        "secret": secret.secret,
        "render": lab.render,
    },
}
