"""`tfapply`: what will change in few lines, a question, then just that."""

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
Validates, plans, shows in few lines what would change, asks, and applies just what was planned: the
wrapper of `tofu apply`, or `terraform apply` where there is no tofu. Arguments are those of
`tofu plan`. In a home folder with a folder terraform/, it works there.

  tfapply
  tfapply -y -var-file=demo.tfvars.json
  tfapply -replace=demo1

-replace=NODE makes a node and all that depends on it anew: of a master, the whole cluster. An
address of an object goes on to `tofu plan` as it is.
"""

_BOTH = ("parallelism", "lock", "lock-timeout")
"""Options that `apply` of a saved plan must have too. Of them only `lock` needs no value."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says. `replace` are nodes and addresses."""

    yes: bool
    folder: str | None
    replace: tuple[str, ...]
    plan: tuple[str, ...]  # all else, for `tofu plan`
    both: tuple[str, ...]  # what of it is for `tofu apply` too


def main(argv: Sequence[str]) -> int:
    asked = parse(argv)
    program = tofu.find(asked.folder)
    print("validating...", flush=True)
    _validate(program)
    words = (*asked.plan, *(f"-replace={one}" for one in _addresses(program, asked.replace)))
    # The saved plan has all values in it, secret ones too: no one else may read it.
    with private_folder("plexctl-tfapply") as folder:
        saved = folder / "saved.tfplan"
        print("planning...", flush=True)
        out = ("-input=false", "-detailed-exitcode", f"-out={saved}", *words)
        code = _told(program, changes.planned, "plan", out)
        if code == 0:
            print("unchanged")
            return ExitCode.DONE
        if not (asked.yes or _agreed()):
            print("aborted")
            return ExitCode.FAILED
        print("applying...", flush=True)
        _told(program, changes.applied, "apply", ("-input=false", *asked.both, str(saved)))
        print("success")
    return ExitCode.DONE


def parse(argv: Sequence[str]) -> Asked:
    """The arguments as OpenTofu writes them: one or two dashes, `-name=value` or `-name value`."""
    parser = arguments(
        "tfapply", ABOUT, "tfapply [-h] [-y] [-chdir=DIR] [-replace=NODE]... [ARG]..."
    )
    add = parser.add_argument
    add("-y", "-yes", "--yes", action="store_true", dest="yes", help="ask nothing")
    add("-chdir", "--chdir", metavar="DIR", help="where the configuration is")
    add(
        *("-replace", "--replace"),
        action="append",
        metavar="NODE",
        default=[],
        help="make it anew; may be given again",
    )
    known, rest = parser.parse_known_args(argv)
    both: list[str] = []
    words = iter(rest)
    for word in words:
        name, equals, _ = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            continue  # the value of the one before: `-var out=5`
        if name in ("out", "json", "detailed-exitcode", "auto-approve"):
            raise UsageError(f"{word}: tfapply decides that itself", hint="-y asks nothing")
        if name in _BOTH:
            value = () if equals or name == "lock" else islice(words, 1)
            both += (word, *value)
    return Asked(known.yes, known.chdir, tuple(known.replace), tuple(rest), tuple(both))


def _validate(program: TofuCommand) -> None:
    done = program.ask("validate", "-json", check=False)
    try:
        # What it thinks of the user's own settings comes before.
        answer = json.loads(done.stdout[max(done.stdout.find("{"), 0) :])
    except ValueError as error:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise PlexError(
            f"{program.name} cannot validate the configuration", details=said
        ) from error
    if not answer.get("valid"):
        raise PlexError(
            "the configuration is not valid",
            details=tofu.errors(answer.get("diagnostics", ())),
            hint=f"`{program.name} init` fetches what modules and providers it names",
        )


def _addresses(program: TofuCommand, nodes: Sequence[str]) -> tuple[str, ...]:
    if all("." in node for node in nodes):
        return tuple(nodes)
    known = program.ask("state", "list").stdout.splitlines()
    return tuple(changes.address_of(node, known) for node in nodes)


def _told(
    program: TofuCommand, shown: Callable[[Message], str | None], verb: str, words: Sequence[str]
) -> int:
    """Run `plan` or `apply` and print what it is about; its exit code, 0 or 2. PlexError else."""
    problems: list[Message] = []
    other: list[str] = []

    def hear(message: Message) -> None:
        if line := shown(message):
            print(line, flush=True)
        if message.get("type") == "diagnostic":
            problems.append(message["diagnostic"])
            if message["diagnostic"].get("severity") == "warning":
                print(*tofu.diagnosis(message["diagnostic"]), sep="\n", file=sys.stderr)
        elif message.get("type") == "other":
            other.append(str(message["@message"]))

    code = program.tell(hear, verb, "-json", *words)
    if code not in (0, 2) or (code == 2 and verb == "apply"):
        raise PlexError(
            f"{program.name} {verb} failed with code {code}",
            details=tofu.errors(problems) or other,
            hint="what was done until then is in the state; run it again"
            if verb == "apply"
            else None,
        )
    return code


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("implement? there is no one to ask", hint="say it beforehand: -y")
    print("implement? ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
