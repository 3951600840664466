"""`tfapply`: prints a short plan, asks, and applies exactly that plan."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from plexctl.clients.private_folder import private_folder
from plexctl.errors import ExitCode, PlexError, UsageError
from plexctl.scripts import changes, tofu
from plexctl.scripts.entry import arguments
from plexctl.scripts.tofu import Message, TofuCommand

ABOUT = """\
A wrapper of `tofu apply`, or of `terraform apply` where there is no tofu: it validates, plans,
prints the changes in few lines, asks, and applies exactly the saved plan. Arguments are those of
`tofu plan`. In a home folder with a folder terraform/, it works there.

  tfapply
  tfapply -y -var-file=demo.tfvars.json
  tfapply -replace=demo1

-replace=NODE replaces a node and all that depends on it: with a master, the whole cluster. The
address of an object is passed to `tofu plan` unchanged.
"""

_BOTH = ("parallelism", "lock", "lock-timeout")
"""Options that `apply` of a saved plan must have too. Of them only `lock` needs no value."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line. `replace` are nodes and addresses."""

    yes: bool
    folder: str | None
    replace: tuple[str, ...]
    plan: tuple[str, ...]  # all other arguments, for `tofu plan`
    both: tuple[str, ...]  # those of `plan` that are for `tofu apply` too


def main(argv: Sequence[str]) -> int:
    asked = parse(argv)
    program = tofu.find(asked.folder)
    print("validating...", flush=True)
    _validate(program)
    words = (*asked.plan, *(f"-replace={one}" for one in _addresses(program, asked.replace)))
    # The saved plan contains all values, also secret ones: only the user may read it.
    with private_folder("plexctl-tfapply") as folder:
        saved = folder / "saved.tfplan"
        print("planning...", flush=True)
        out = ("-input=false", "-detailed-exitcode", f"-out={saved}", *words)
        code = _run(program, changes.planned, "plan", out)
        if code == 0:
            print("unchanged")
            return ExitCode.DONE
        if not (asked.yes or _agreed()):
            print("aborted")
            return ExitCode.FAILED
        print("applying...", flush=True)
        _run(program, changes.applied, "apply", ("-input=false", *asked.both, str(saved)))
        print("success")
    return ExitCode.DONE


def parse(argv: Sequence[str]) -> Asked:
    """The arguments as OpenTofu writes them: one or two dashes, `-name=value` or `-name value`."""
    parser = arguments(
        "tfapply", ABOUT, "tfapply [-h] [-y] [-chdir=DIR] [-replace=NODE]... [ARG]..."
    )
    add = parser.add_argument
    add("-y", "-yes", "--yes", action="store_true", dest="yes", help="do not ask")
    add("-chdir", "--chdir", metavar="DIR", help="folder of the configuration")
    add(
        *("-replace", "--replace"),
        action="append",
        metavar="NODE",
        default=[],
        help="replace this node; may be repeated",
    )
    known, rest = parser.parse_known_args(argv)
    both: list[str] = []
    words = iter(rest)
    for word in words:
        name, equals, _ = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            continue  # the value of the option before: `-var out=5`
        if name in ("out", "json", "detailed-exitcode", "auto-approve"):
            raise UsageError(
                f"{word}: tfapply sets this option itself", hint="-y skips the question"
            )
        if name in _BOTH:
            value = () if equals or name == "lock" else islice(words, 1)
            both += (word, *value)
    return Asked(known.yes, known.chdir, tuple(known.replace), tuple(rest), tuple(both))


def _validate(program: TofuCommand) -> None:
    done = program.ask("validate", "-json", check=False)
    try:
        # Messages about the user's settings come before the answer.
        answer = json.loads(done.stdout[max(done.stdout.find("{"), 0) :])
    except ValueError as error:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise PlexError(
            f"{program.name} cannot validate the configuration", details=lines
        ) from error
    if not answer.get("valid"):
        raise PlexError(
            "the configuration is not valid",
            details=tofu.errors(answer.get("diagnostics", ())),
            hint=f"`{program.name} init` fetches its modules and providers",
        )


def _addresses(program: TofuCommand, nodes: Sequence[str]) -> tuple[str, ...]:
    if all("." in node for node in nodes):
        return tuple(nodes)
    known = program.ask("state", "list").stdout.splitlines()
    return tuple(changes.address_of(node, known) for node in nodes)


def _run(
    program: TofuCommand, shown: Callable[[Message], str | None], verb: str, words: Sequence[str]
) -> int:
    """Run `plan` or `apply` and print its changes. Its exit code, 0 or 2; PlexError otherwise."""
    problems: list[Message] = []
    other: list[str] = []

    def on_message(message: Message) -> None:
        if line := shown(message):
            print(line, flush=True)
        if problem := tofu.problem(message):
            problems.append(problem)
            if problem.get("severity") == "warning":
                print(*tofu.diagnosis(problem), sep="\n", file=sys.stderr)
        elif message.get("type") == "other":
            other.append(str(message["@message"]))

    code = program.stream(on_message, verb, "-json", *words)
    if code not in (0, 2) or (code == 2 and verb == "apply"):
        raise PlexError(
            f"{program.name} {verb} failed with code {code}",
            details=tofu.errors(problems) or other,
            hint="the state has the changes so far; run it again" if verb == "apply" else None,
        )
    return code


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("refusing to continue without -y: stdin is not a terminal")
    print("implement? ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
