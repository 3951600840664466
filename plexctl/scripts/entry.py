"""Shared code of the scripts: arguments, errors and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from plexctl.errors import ExitCode, Interrupted, PlexError, UsageError

Main = Callable[[Sequence[str]], int]


def arguments(name: str, about: str, usage: str | None = None) -> argparse.ArgumentParser:
    """A parser whose help is `about`: the purpose of the script, and an example."""
    return argparse.ArgumentParser(
        prog=name,
        usage=usage,
        description=about,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def outcome(main: Main, argv: Sequence[str]) -> int:
    """Run a script as `plexctl` runs a verb: errors go to standard error, without a traceback.

    Returns the exit code, which is the one that `plexctl` would have.
    """
    from plexctl.cli.start import stopped

    try:
        code = main(argv)
        sys.stdout.flush()
    except PlexError as error:
        _show(error)
        return error.exit_code
    except Interrupted as interrupted:
        return stopped(interrupted)
    except BrokenPipeError:
        # The reader has closed its end. Python must not flush the rest at its own end.
        sys.stdout = None
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the last stop
        from plexctl.cli.crash import as_bug

        _show(as_bug(error))
        return ExitCode.FAILED
    return code


def text_of(stream: TextIO) -> str:
    """The text of standard input. UsageError if it is not UTF-8, or too large."""
    from plexctl.config.bounded import MOST_JSON_BYTES

    try:
        text = stream.read(MOST_JSON_BYTES + 1)
    except UnicodeDecodeError as error:
        raise UsageError("standard input is not UTF-8 text") from error
    if len(text) > MOST_JSON_BYTES:
        raise UsageError(f"standard input is larger than {MOST_JSON_BYTES >> 20} MiB")
    return text


def query(stream: TextIO) -> dict[str, str]:
    """The query that OpenTofu sends to an external data source: a JSON object of strings.

    UsageError if it is anything else.
    """
    hint = 'as in: echo \'{"host": "demo1"}\''
    if stream.isatty():
        raise UsageError("the query is read from standard input", hint=hint)
    text = text_of(stream)
    from plexctl.config.bounded import check_json

    try:
        asked = check_json(text) if text.strip() else {}
    except ValueError as error:
        raise UsageError(f"the query is not JSON: {error}", hint=hint) from error
    if not isinstance(asked, dict) or not all(isinstance(v, str) for v in asked.values()):
        raise UsageError("the query must be a JSON object of texts", hint=hint)
    return asked


def _show(error: PlexError) -> None:
    from plexctl.render.errors import colors, error_text

    print(error_text(error, color=colors(sys.stderr.isatty())), file=sys.stderr)
