"""Run the commands of the examples in the docs, and put what they print into the pages.

`bin/docs record [PAGE…]` does it on this machine, with real hosts. Each page is a session in a new
folder with a new lab, whose commands run in the order of the page:

    <!-- run: COMMAND -->                     runs, and shows nothing; $PAGES is the page's folder
    <!-- recorded: COMMAND -->                runs; the block below it becomes the command and what
                                              it printed on standard output and standard error
    <!-- recorded(exit 3, first 4, last 2, cut 1): COMMAND -->
                                              it has to end with 3; only these lines are shown,
                                              after the last one has been cut

Lines about steps that go on are left out, as one about the end of the step follows. A page is
written only if all of its commands have ended as they should. Whatever a session has created on
hosts is deleted when it ends. tests/docs/demo.md becomes docs/assets/demo.svg.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs import demo

ROOT = Path(__file__).parents[2]
TIMEOUT = 3600  # seconds for one command: the first one may fill the depot
DIRECTIVE = re.compile(r"^<!-- (run|recorded)(?:\(([^)]*)\))?: (.+?) -->$")
ENDED = re.compile(r"^[✓=✗] (.*?)(?::| \()")
GOES_ON = re.compile(r"^  (.*?)(?::| …)")
OPEN, CLOSE = "```console", "```"


class PageError(Exception):
    """A page cannot be recorded."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page. `block` has the numbers of the lines of its block, if it has one."""

    command: str
    line: int  # of the directive, from 0
    block: range | None
    exit: int = 0
    first: int | None = None
    last: int | None = None
    cut: int = 0

    def shown(self, output: str) -> list[str]:
        """The lines that the page shows."""
        lines = _without_progress(output.splitlines())
        lines = "\n".join(lines[: len(lines) - self.cut]).rstrip().splitlines()
        kept = (self.first or 0) + (self.last or 0)
        if not kept or len(lines) <= kept:
            return lines
        first = lines[: self.first or 0]
        last = lines[len(lines) - (self.last or 0) :]
        return [*first, "...", *last]


def _without_progress(lines: list[str]) -> list[str]:
    """Without lines about steps whose end another line reports."""
    ended = {match[1] for line in lines if (match := ENDED.match(line))}
    return [line for line in lines if not ((match := GOES_ON.match(line)) and match[1] in ended)]


def steps(text: str) -> list[Step]:
    """The commands of a page in their order; PageError if a directive is wrong."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines):
        if not (match := DIRECTIVE.match(line.strip())):
            if line.strip().startswith(("<!-- run", "<!-- recorded")):
                raise PageError(f"line {number + 1}: this is no directive: {line.strip()}")
            continue
        what, options, command = match.groups()
        block = _block(lines, number + 1) if what == "recorded" else None
        found.append(Step(command, number, block, **_options(options or "", number)))
    return found


def _options(text: str, number: int) -> dict[str, int]:
    options = {}
    for option in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = option.partition(" ")
        if name not in ("exit", "first", "last", "cut") or not value.isdigit():
            raise PageError(f"line {number + 1}: this is no option: {option}")
        options[name] = int(value)
    return options


def _block(lines: list[str], start: int) -> range:
    """The numbers of the lines between the fences of the block that follows."""
    while start < len(lines) and not lines[start].strip():
        start += 1
    if start == len(lines) or lines[start] != OPEN:
        raise PageError(f"line {start}: no block {OPEN} follows")
    end = lines.index(CLOSE, start + 1)
    return range(start + 1, end)


def replaced(text: str, outputs: list[tuple[Step, str]]) -> str:
    """The page with what its commands have printed."""
    lines = text.splitlines()
    for step, output in reversed(outputs):
        if step.block is not None:
            lines[step.block.start : step.block.stop] = [f"$ {step.command}", *step.shown(output)]
    return "\n".join(lines) + "\n"


class Session:
    """A folder of its own with a home of its own, in which the commands of one page run."""

    def __init__(self, folder: Path, pages: Path) -> None:
        self.folder = folder
        home, programs, self.work = folder / "home", folder / "bin", folder / "work"
        for new in (home, programs, self.work):
            new.mkdir()
        (programs / "plexctl").symlink_to(ROOT / "bin" / "plexctl")
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "KUBECONFIG"))},
            "HOME": str(home),
            "XDG_CACHE_HOME": str(cache),  # the depot need not be filled again
            "PATH": f"{programs}:{os.environ['PATH']}",
            "COLUMNS": "100",
            "PAGES": str(pages),
            "NO_COLOR": "1",
        }

    def run(self, command: str) -> tuple[int, str]:
        """The exit code and the output; `cd` holds for the commands after it."""
        where = self.folder / "where"
        script = f'{command}\ncode=$?\npwd >"{where}"\nexit $code'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        if where.exists():
            self.work = Path(where.read_text().strip())
        return done.returncode, self._plain(done.stdout)

    def _plain(self, output: str) -> str:
        """Without what is different in each session."""
        output = output.replace(f"{self.work}/", "").replace(str(self.folder / "home"), "~")
        return output.replace(str(self.folder), "~")

    def labs(self) -> Iterator[tuple[Path, str]]:
        """Each lab with the verbs that delete what it has on hosts."""
        for hosts in sorted(self.folder.rglob("clusters/hosts.yaml")):
            lab = hosts.parents[1]
            for plex in sorted(lab.glob("clusters/*/plex.yaml")):
                yield lab, f"destroy {plex.parent.name} -y"
            if re.search(r"^registry:", hosts.read_text(), re.MULTILINE):
                yield lab, "registry destroy -y"

    def clean_up(self) -> list[str]:
        """Delete everything on hosts; what could not be deleted."""
        failed = []
        for lab, verb in self.labs():
            self.work = lab
            code, output = self.run(f"plexctl {verb}")
            if code:
                failed.append(f"plexctl -C {lab} {verb}: {output.strip()}")
        return failed


def record(page: Path, text: str) -> str:
    """The page with the output of its commands, which run now."""
    found = steps(text)
    folder = Path(tempfile.mkdtemp(prefix="plexctl-docs-"))
    session = Session(folder, page.resolve().parent)
    outputs = []
    try:
        for step in found:
            print(f"{page.name}:{step.line + 1}: {step.command}", flush=True)
            code, output = session.run(step.command)
            if code != step.exit:
                raise PageError(
                    f"line {step.line + 1}: `{step.command}` ended with {code} instead of "
                    f"{step.exit}:\n{output}"
                )
            outputs.append((step, output))
    finally:
        if failed := session.clean_up():
            print(f"{page.name}: the lab is kept in {folder}:", *failed, sep="\n  ", flush=True)
        else:
            shutil.rmtree(folder)
    return replaced(text, outputs)


def pages() -> list[Path]:
    """All files with recorded blocks."""
    candidates = [demo.SOURCE, ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in candidates if steps(page.read_text())]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/docs record", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE")
    parser.add_argument("--list", action="store_true", help="only print what would run")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the lab is deleted
    failed = 0
    for page in [page.resolve() for page in options.pages] or pages():
        text = page.read_text()
        if options.list:
            for step in steps(text):
                print(f"{page.relative_to(ROOT)}:{step.line + 1}: {step.command}")
            continue
        try:
            page.write_text(record(page, text))
        except (PageError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"{page.name} stays as it is: {error}", file=sys.stderr, flush=True)
    demo.main()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
