"""The entry of the command line: options of plexctl itself, errors, and exit codes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from plexctl import __version__
from plexctl.cli.start import FULL, start, stopped
from plexctl.cli.verbs import Root
from plexctl.errors import ExitCode, Interrupted, PlexError

app = typer.Typer(
    name="plexctl",
    cls=Root,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: importing rich doubles the time of `--help`
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The command line. Ends the process; no error reaches the user as a traceback."""
    start()
    try:
        _main()
    except Interrupted as interrupted:  # also while an error is printed
        sys.exit(stopped(interrupted))


def _main() -> None:
    try:
        app(prog_name="plexctl")
    except PlexError as error:
        _print_error(error)
        sys.exit(error.exit_code)
    except OSError as error:
        from plexctl.cli.crash import as_bug

        if error.errno in FULL and not error.filename:
            _drop_output()
        _print_error(as_bug(error))
        sys.exit(ExitCode.FAILED)
    except Exception as error:  # noqa: BLE001 - whatever else happens is a bug
        from plexctl.cli.crash import as_bug  # few runs need it

        _print_error(as_bug(error))
        sys.exit(ExitCode.FAILED)


def _print_error(error: PlexError) -> None:
    """Print text to standard error; with `--json` also one JSON object to standard output."""
    from plexctl.render.errors import colors, error_json, error_text  # few runs need it

    print(error_text(error, color=colors(sys.stderr.isatty())), file=sys.stderr)
    options = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    if "--json" in options:
        try:
            print(error_json(error), flush=True)
        except OSError as failure:  # the text is on standard error
            if failure.errno not in FULL:
                raise
            _drop_output()


def _drop_output() -> None:
    """Write no further to a full disk: Python would try again when it ends, and fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"plexctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    directory: Annotated[
        Path | None,
        typer.Option(
            "-C",
            "--directory",
            metavar="DIR",
            help="Use the lab in this folder or in one above it; default: the current folder.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Real Kubernetes labs on Incus and Proxmox hosts, baked once and recreated in seconds.

    Exit codes: 0 success, 1 failure, 2 wrong usage or configuration, 3 changes found (`plan`,
    `flux diff`). `ssh` and `exec` end with the exit code of the remote command.
    """
