"""Common to all commands: exit codes, errors, and the stream of each output."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plexctl import __version__
from plexctl.cli.verbs import SECTIONS, CommandGroup, LazyCommand, Verb
from plexctl.errors import PlexError
from plexctl.model.plex import Plex
from plexctl.results.up import UpResult

from .conftest import Plexctl


def test_version_and_help(plexctl: Plexctl) -> None:
    assert plexctl("--version").out == f"plexctl {__version__}\n"
    text = plexctl("--help").out
    for section, verbs in SECTIONS.items():
        assert f"\n{section}:\n" in text
        for name, verb in verbs.items():
            assert re.search(rf"^  {name} +{re.escape(verb.help)}$", text, re.MULTILINE)


ALL = [
    *((name, verb) for verbs in SECTIONS.values() for name, verb in verbs.items()),
    *(
        (f"{group} {name}", verb)
        for verbs in SECTIONS.values()
        for group, own in verbs.items()
        if isinstance(own, CommandGroup)
        for name, verb in own.verbs.items()
    ),
]
"""Every verb and group, with the words that call it."""


@pytest.mark.parametrize(("call", "verb"), ALL)
def test_help_in_lists_is_the_first_sentence_of_a_verbs_own_help(
    plexctl: Plexctl, call: str, verb: Verb | CommandGroup
) -> None:
    shown = " ".join(plexctl(*call.split(), "--help").out.split())
    assert f" {verb.help} " in shown
    assert len(verb.help) <= 62  # one line of 80 columns
    assert not re.search(r" --?[A-Z]", shown.replace(" -C", ""))  # Typer may use a metavar as name
    if isinstance(verb, Verb):
        command = LazyCommand(call.split()[-1], verb).load()
        assert command.get_short_help_str(limit=80) == verb.help
    else:
        assert all(f" {name} {own.help}" in shown for name, own in verb.verbs.items())


@pytest.mark.parametrize(
    "argv", [("up", "--nonsense"), ("nonsense",), ("scale",), ("scale", "--workers", "-1")]
)
def test_wrong_usage_is_2(plexctl: Plexctl, argv: tuple[str, ...]) -> None:
    ended = plexctl(*argv)
    assert ended.code == 2
    assert ended.out == ""
    assert "Error: " in ended.err


def test_no_lab_is_2_and_says_how_to_get_one(
    plexctl: Plexctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = plexctl("list")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.endswith("hint: create one with `plexctl init`, or name one with `-C DIR`\n")


def test_a_faulty_file_is_2_and_each_problem_has_its_line(plexctl: Plexctl, lab: Path) -> None:
    (lab / "clusters" / "alpha" / "plex.yaml").write_text("workers: many\nwrokers: 2\n")
    ended = plexctl("-C", str(lab / "clusters" / "beta"), "status", "beta")
    assert ended.code == 2
    first, second, third = ended.err.splitlines()
    assert first == "error: the configuration has 2 problems"
    assert second.startswith("clusters/alpha/plex.yaml:1: workers: ")
    assert third.startswith("clusters/alpha/plex.yaml:2: wrokers: ")


def test_a_host_that_does_not_answer_is_1(plexctl: Plexctl, lab: Path) -> None:
    ended = plexctl("status", "alpha")
    assert (ended.code, ended.out) == (1, "")
    assert "/nowhere/unix.socket" in ended.err


def test_with_json_an_error_is_an_answer_too(plexctl: Plexctl, lab: Path) -> None:
    """Whoever reads standard output finds one JSON document there, whatever happens."""
    ended = plexctl("status", "gamma", "--json")
    assert ended.code == 2
    assert json.loads(ended.out)["error"]["hint"] == "there are: alpha, beta"
    assert ended.err.startswith("error: there is no plex gamma")
    quoted = plexctl("exec", "gamma1", "--", "tool", "--json")
    assert quoted.out == ""


def test_a_bug_is_one_line_and_a_private_file(
    plexctl: Plexctl, lab: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plexctl.config.load.find_lab", lambda _: 1 / 0)
    ended = plexctl("-C", str(lab), "list")
    assert ended.code == 1
    first, hint = ended.err.splitlines()
    assert first == "error: this is a bug in plexctl: ZeroDivisionError: division by zero"
    file = Path(hint.rsplit(" ", 1)[1])
    assert file.is_relative_to(home)  # since plexctl cannot even find the lab
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Traceback (most recent call last)" in file.read_text()


def test_a_bug_is_printed_if_its_file_cannot_be_written(
    plexctl: Plexctl, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise PlexError("cannot write: the disk is full")

    monkeypatch.setattr("plexctl.workflow.core.context.load_lab", lambda *_: 1 / 0)
    monkeypatch.setattr("plexctl.cli.crash.Folder.write", full)
    ended = plexctl("list")
    assert ended.code == 1
    assert "ZeroDivisionError" in ended.err
    assert "the disk is full" in ended.err
    assert "Traceback" not in ended.err


def test_an_error_of_the_operating_system_is_no_bug(plexctl: Plexctl, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    ended = plexctl("-C", str(file / "lab"), "init")
    assert ended.code == 1
    assert ended.err == f"error: cannot open {file / 'lab'}: Not a directory\n"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """The verbs that were called: name, plex, and what else was asked for."""
    made: list[tuple[object, ...]] = []

    def fake(verb: str) -> Callable[..., object]:
        def call(ctx: object, plex: Plex | str, *more: object, **options: object) -> object:
            name = plex if isinstance(plex, str) else plex.name
            made.append((verb, name, *more, *(key for key, on in options.items() if on)))
            return UpResult(name, (), (), {}, "run", Path("kubeconfig"))

        return call

    for verb in ("up", "replace", "scale", "destroy"):
        monkeypatch.setattr(f"plexctl.workflow.plex.verbs.{verb}", fake(verb))
    return made


@pytest.mark.parametrize(
    ("argv", "call"),
    [
        ("destroy alpha", ("destroy", "alpha")),
        ("destroy alpha --images", ("destroy", "alpha", "images")),
        ("destroy gone", ("destroy", "gone")),
        (
            "replace alpha1",
            ("replace", "alpha", ["alpha1"], "drain", "lose_pods", "lose_cluster", "wait"),
        ),
        (
            "replace --plex beta master",
            ("replace", "beta", ["master"], "drain", "lose_pods", "lose_cluster", "wait"),
        ),
        ("scale alpha --workers 1 --no-wait", ("scale", "alpha", 1, "drain", "lose_cluster")),
    ],
)
def test_a_loss_needs_the_option_yes_without_a_terminal(
    plexctl: Plexctl,
    lab: Path,
    calls: list[tuple[object, ...]],
    argv: str,
    call: tuple[object, ...],
) -> None:
    ended = plexctl(*argv.split())
    assert (ended.code, calls) == (2, [])
    assert "error: refusing to continue without -y: stdin is not a terminal" in ended.err
    assert plexctl(*argv.split(), "-y", "--json").code == 0
    assert calls == [call]


@pytest.mark.parametrize(("said", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_a_loss_is_confirmed_on_a_terminal(
    plexctl: Plexctl,
    lab: Path,
    calls: list[tuple[object, ...]],
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    code: int,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(said))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    ended = plexctl("destroy", "alpha", "--json")
    assert (ended.code, len(calls)) == (code, 1 - code)


@pytest.mark.parametrize(
    ("argv", "call"),
    [
        ("up beta", ("up", "beta", "drain", "wait")),
        ("up beta --no-drain --no-wait", ("up", "beta")),
        ("replace alpha2 alpha3", ("replace", "alpha", ["alpha2", "alpha3"], "drain", "wait")),
        ("scale alpha --workers 3", ("scale", "alpha", 3, "drain", "wait")),
    ],
)
def test_a_command_without_loss_asks_nothing(
    plexctl: Plexctl,
    lab: Path,
    calls: list[tuple[object, ...]],
    argv: str,
    call: tuple[object, ...],
) -> None:
    assert plexctl(*argv.split(), "--json").code == 0
    assert calls == [call]


def test_destroy_rejects_a_name_with_a_path(plexctl: Plexctl, lab: Path) -> None:
    ended = plexctl("destroy", "../../..", "-y")
    assert ended.code == 2
    assert "cannot be the name of a plex" in ended.err


def test_a_signal_ends_with_one_line(lab: Path) -> None:
    """Sent to a real process: the handlers and the exit code are the operating system's affair."""
    program = (
        "import os, signal, sys\n"
        "from plexctl.cli.main import main\n"
        "import plexctl.config.load as load\n"
        "load.find_lab = lambda _: os.kill(os.getpid(), NUMBER)\n"
        "main()\n"
    )
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        argv = [sys.executable, "-c", program.replace("NUMBER", str(int(number))), "list"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", "interrupted\n")


def test_a_signal_that_is_repeated_ends_with_one_line(lab: Path) -> None:
    """Two within 50 ms ended in tracebacks: the second one came while the first was handled."""
    program = (
        "import os, signal\n"
        "from plexctl.cli.main import main\n"
        "import plexctl.config.load as load\n"
        "def find(_):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        open('cleaned', 'w').close()\n"
        "load.find_lab = find\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "list"], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
    assert (lab / "cleaned").exists()


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_the_start_ends_with_one_line(
    lab: Path, number: signal.Signals, code: int, delay: float
) -> None:
    """Tracebacks of KeyboardInterrupt, and no exit code, came of the first 0.3 s."""
    entry = "from plexctl.cli.entry import main; import time; main()"
    blocked = ("env", "--block-signal=INT", "--block-signal=TERM")  # as bin/plexctl does
    began = time.monotonic()
    process = subprocess.Popen(
        [*blocked, sys.executable, "-c", entry, "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_until_blocked(process.pid)
    time.sleep(delay)
    process.send_signal(number)
    late = time.monotonic() - began > 0.15  # on a busy machine this may take longer than `delay`
    _, err = process.communicate(timeout=120)
    if process.returncode != code:  # plexctl had ended, or Python had begun to end it
        assert late
        assert process.returncode in (1, -number)  # a shell reports -number as the same code
        assert "Traceback" not in err
    else:  # a late signal may come after an error that the verb had printed
        *before, last = err.splitlines()
        assert (last, "Traceback" in err) == ("interrupted", False)
        assert not before or late


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_after_the_work_changes_nothing(lab: Path, number: signal.Signals) -> None:
    """A bake that had ended died of it, without an exit code."""
    program = (
        "import atexit, os\n"
        f"atexit.register(os.kill, os.getpid(), {int(number)})\n"
        "from plexctl.cli.entry import main\n"
        "main()\n"
    )
    argv = [sys.executable, "-c", program, "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def _wait_until_blocked(number: int) -> None:
    mask = 1 << (signal.SIGINT - 1)
    for _ in range(60_000):
        status = Path(f"/proc/{number}/status").read_text()
        found = re.search(r"^SigBlk:\s*(\w+)$", status, re.MULTILINE)
        if found and int(found[1], 16) & mask:
            return
        time.sleep(0.001)
    raise AssertionError("the signals are not blocked")


READERLESS = """
import sys
from plexctl.cli.start import start
from plexctl.model.events import Outcome, StepEnded
from plexctl.render.progress import progress
start()
with progress() as show:
    for number in range(3):
        show(StepEnded(1.0, "a step", Outcome.CHANGED, "", 1.0))
print("the answer", flush=True)
print("more")
open("done", "w").close()
sys.exit(7)
"""


def test_a_reader_that_ends_does_not_stop_the_work(lab: Path) -> None:
    """`plexctl replace NODE 2>&1 | head -1` left the work half done, with exit code 1."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", READERLESS], stdout=writer, stderr=writer)
    os.close(writer)
    assert done.returncode == 7
    assert (lab / "done").exists()


def test_a_terminal_that_is_gone_does_not_stop_the_work(lab: Path) -> None:
    """The live progress writes to it, also from a thread."""
    main, terminal = os.openpty()
    program = READERLESS.replace("start()\n", "start()\nsys.stdin.readline()\n", 1)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(main)
    os.close(terminal)
    process.communicate(b"\n", timeout=120)
    assert process.returncode == 7
    assert (lab / "done").exists()


def test_an_answer_that_is_lost_is_an_error(lab: Path) -> None:
    """As with a full disk; progress that is lost is none."""
    with Path("/dev/full").open("wb") as full:
        program = READERLESS.replace("sys.exit(7)", "sys.exit(0)")
        done = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=full)
        assert done.returncode != 0
        quiet = subprocess.run(
            [sys.executable, "-c", READERLESS],
            capture_output=False,
            stderr=full,
            stdout=subprocess.DEVNULL,
        )
    assert quiet.returncode == 7


def test_a_closed_pipe_is_no_error(lab: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "plexctl", "init"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(lab / "config")}
    done = subprocess.run(
        argv, stdout=writer, stderr=subprocess.PIPE, timeout=120, cwd=lab, env=environment
    )
    os.close(writer)
    assert done.stderr == b""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_stream_that_is_closed_is_no_bug(lab: Path, closed: str) -> None:
    """A closed stdin means no questions; output to a closed stream is lost."""
    argv = ["sh", "-c", f'exec "$0" -m plexctl destroy alpha {closed}', sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: " if closed != "2>&-" else "")
    assert "Traceback" not in done.stderr


def test_help_of_plexctl_and_of_every_verb_imports_nothing_heavy() -> None:
    """They and completion are to answer in a quarter of a second."""
    program = (
        "import sys, plexctl.cli.main\n"
        "from plexctl.cli.verbs import SECTIONS, CommandGroup, LazyCommand\n"
        "for verbs in SECTIONS.values():\n"
        "    for verb in verbs.values():\n"
        "        for one in verb.verbs.values() if isinstance(verb, CommandGroup) else [verb]:\n"
        "            LazyCommand('verb', one).load()\n"
        "print(*sorted(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"rich", "requests", "pylxd", "yaml", "cryptography", "pyrage", "ansible_runner"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "unused"),
    [
        ("clients.incus.host", {"yaml", "http.client", "plexctl.plan", "plexctl.config"}),
        ("render.plex_text", {"plexctl.results.changes", "plexctl.results.status"}),
        ("render.safe", {"plexctl.model.events"}),
        ("clients.incus.plain_reads", {"requests", "pylxd", "urllib3"}),
        ("clients.kube.state", {"requests", "urllib3", "http.client", "ssl"}),
        (
            "workflow.plex.plan",
            {
                "cryptography",
                "http.client",
                "importlib.resources",
                "ssl",
                "plexctl.bake.incus",
                "plexctl.depot.store",
                "plexctl.model.events",
                "plexctl.provision.direct.apply",
                "plexctl.results.apps",
                "plexctl.results.plex",
                "plexctl.results.status",
            },
        ),
        (
            "workflow.plex.verbs",
            {"plexctl.bake.hosts", "plexctl.bake.proxmox", "plexctl.depot.store"},
        ),
    ],
)
def test_a_verb_loads_nothing_that_few_of_its_runs_need(module: str, unused: set[str]) -> None:
    """Loading takes most of the time of `plan`, and of `up` before its first call of a host."""
    program = f"import sys, plexctl.{module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not unused & set(done.stdout.split())
