"""Run ansible-runner with a built environment, and without its signal handlers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from plexctl.errors import Interrupted, PlexError

if TYPE_CHECKING:
    from ansible_runner.runner import Runner


def play_runner(
    environment: Mapping[str, str], *, handlers: dict[str, Any], **settings: Any
) -> Runner:
    """Runs one play; `settings` are those of `ansible_runner.run`.

    PlexError if Ansible is not there.
    """
    from ansible_runner.config.runner import RunnerConfig
    from ansible_runner.runner import Runner
    from ansible_runner.utils import dump_artifacts

    dump_artifacts(settings)
    config = _without_inherited(RunnerConfig, environment)(**settings)
    with _exits_reported():
        config.prepare()
    return Runner(config, **handlers)


def command_runner(
    program: str,
    arguments: list[str],
    environment: Mapping[str, str],
    *,
    handlers: dict[str, Any],
    **settings: Any,
) -> Runner:
    """Runs a program of Ansible; `settings` are those of `ansible_runner.run_command`.

    The callback in `environment` prints: the library reports its lines, and no events.
    """
    from ansible_runner.config.command import CommandConfig
    from ansible_runner.runner import Runner

    config = _without_inherited(CommandConfig, environment)(**settings)
    with _exits_reported():
        config.prepare_run_command(program, cmdline_args=arguments)
    # The library's own callback wraps the user's, and fails for those that have no options.
    config.env["ANSIBLE_STDOUT_CALLBACK"] = environment["ANSIBLE_STDOUT_CALLBACK"]
    return Runner(config, **handlers)


def _without_inherited(base: type[Any], environment: Mapping[str, str]) -> type[Any]:
    """A class of the library's configuration that begins with `environment`.

    The library begins with a copy of this process' environment, and then adds its own variables.
    """

    class Config(base):  # type: ignore[misc]
        def __setattr__(self, name: str, value: object) -> None:
            if name == "env" and name not in self.__dict__:
                # Without this variable the library reads it from this process' environment.
                value = {"AWX_LIB_DIRECTORY": "", **environment}
            super().__setattr__(name, value)

    return Config


@contextmanager
def _exits_reported() -> Iterator[None]:
    try:
        yield
    except SystemExit as error:
        raise PlexError("Ansible could not be started", details=(str(error),)) from error


@contextmanager
def signals_recorded() -> Iterator[list[int]]:
    """The signals that arrive within the block: the library ends the play, then the caller ends.

    Interrupted, with the first signal, when the block has ended. Only the main thread gets signals.
    """
    arrived: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield arrived
        return

    def record(number: int, _: FrameType | None) -> None:
        arrived.append(number)

    before = {number: signal.signal(number, record) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        raise Interrupted(arrived[0])
