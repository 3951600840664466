"""How a command starts and ends: its arguments, its errors, its exit code."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from plexctl.cli.start import start
from plexctl.errors import ExitCode, Interrupted, PlexError, UsageError

Main = Callable[[Sequence[str]], int]


def arguments(name: str, about: str, usage: str | None = None) -> argparse.ArgumentParser:
    """A parser whose help is `about`: what the command does, and an example."""
    return argparse.ArgumentParser(
        prog=name,
        usage=usage,
        description=about,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(main: Main) -> None:
    """Run a command and end the process as `plexctl` would: no traceback, the same exit codes."""
    start()
    sys.exit(outcome(main, sys.argv[1:]))


def outcome(main: Main, argv: Sequence[str]) -> int:
    """The exit code of a command; what went wrong is told on standard error."""
    try:
        code = main(argv)
        sys.stdout.flush()
    except PlexError as error:
        _show(error)
        return error.exit_code
    except Interrupted as interrupted:
        print("interrupted", file=sys.stderr)
        return 128 + interrupted.number
    except BrokenPipeError:
        # Whoever read has seen enough. What is left must not be written at the end either.
        sys.stdout = None
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the last stop
        from plexctl.cli.crash import as_bug

        _show(as_bug(error))
        return ExitCode.FAILED
    return code


def query(stream: TextIO) -> dict[str, str]:
    """What OpenTofu asks an external data source: one JSON object of strings. UsageError else."""
    hint = 'as in: echo \'{"host": "demo1"}\''
    if stream.isatty():
        raise UsageError("the query is read from standard input", hint=hint)
    text = stream.read()
    try:
        asked = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise UsageError(f"the query is not JSON: {error}", hint=hint) from error
    if not isinstance(asked, dict) or not all(isinstance(v, str) for v in asked.values()):
        raise UsageError("the query must be a JSON object of texts", hint=hint)
    return asked


def _show(error: PlexError) -> None:
    from plexctl.render.errors import colors, error_text

    print(error_text(error, color=colors(sys.stderr.isatty())), file=sys.stderr)
