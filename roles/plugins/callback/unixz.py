"""Ansible's output like the console of a booting machine: one line for a task on a host."""

from __future__ import annotations

import re
from typing import Any

from ansible import constants
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.callback.default import CallbackModule as Default

DOCUMENTATION = """
name: unixz
type: stdout
short_description: one line for a task on a host
description:
  - The name of a task, and below it a line for each host on which it did something or failed.
  - With O(ansible-playbook -v) also hosts on which nothing changed, and what tasks returned.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - set as stdout in configuration
"""

SHOWN = ("msg", "stdout", "stderr")
"""The fields of a result that a line shows, in this order."""

LONGEST = 500
"""At most so many characters of each field."""


SUMS = {
    "ok": "ok",
    "changed": "changed",
    "skipped": "skipped",
    "rescued": "rescued",
    "ignored": "ignored",
    "failures": "failed",
    "unreachable": "unreachable",
}
"""Ansible's counters, in the order in which they are printed, and their words."""


UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that change a terminal or hide text. Names and results may contain them."""

COLOR = re.compile("(\x1b\\[(?:0|(?:[01];)?3[0-7]|(?:[01];)?38;5;[0-9]{1,3})m)")
"""What Ansible writes around a text in colour, and nothing that hides or blinks."""


def shown(text: str) -> str:
    """The text with control characters as escapes, such as \\x1b."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "unixz"

    def v2_playbook_on_start(self, playbook: Any) -> None:
        pass

    def v2_playbook_on_play_start(self, play: Any) -> None:
        check = " (dry run)" if play.check_mode else ""
        self._show(f"{play.get_name().strip()}{check}")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: Any) -> None:
        self._begun(task, "")

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._begun(task, " (handler)")

    def v2_playbook_on_cleanup_task_start(self, task: Any) -> None:
        self._begun(task, "")

    def v2_playbook_on_include(self, included_file: Any) -> None:
        pass

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        pass

    def v2_runner_on_ok(self, result: Any) -> None:
        data = _data(result)
        if data.get("changed"):
            self._line(result, "changed", constants.COLOR_CHANGED)
        elif self._display.verbosity or _action(result) == "debug":
            self._line(result, "ok", constants.COLOR_OK)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        word = "failed, ignored" if ignore_errors else "failed"
        self._line(result, word, constants.COLOR_ERROR, full=True)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._line(result, "unreachable", constants.COLOR_UNREACHABLE, full=True)

    def v2_runner_on_skipped(self, result: Any) -> None:
        if self._display.verbosity:
            self._line(result, "skipped", constants.COLOR_SKIP)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        # Each changed item of a loop. The result of the loop is not printed again.
        if _data(result).get("changed"):
            self._line(result, "changed", constants.COLOR_CHANGED)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._line(result, "failed", constants.COLOR_ERROR, full=True)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self.v2_runner_on_skipped(result)

    def v2_on_file_diff(self, result: Any) -> None:
        data = _data(result)
        for one in data.get("results", (data,)):
            if one.get("changed") and one.get("diff") and (diff := self._get_diff(one["diff"])):
                # The colours of a diff are in its text. What else is in it is the file's.
                parts = COLOR.split(diff.rstrip("\n"))
                colored = "".join(one if n % 2 else shown(one) for n, one in enumerate(parts))
                self._display.display(colored)

    def v2_runner_retry(self, result: Any) -> None:
        data = _data(result)
        line = f"  {_host(result)} again ({data.get('attempts')} of {data.get('retries')})"
        self._show(line, color=constants.COLOR_DEBUG)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._show("  no host matches", color=constants.COLOR_SKIP)

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        self._show("  no host is left", color=constants.COLOR_ERROR)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        for host in sorted(stats.processed):
            sums = stats.summarize(host)
            counts = [f"{word} {sums[name]}" for name, word in SUMS.items() if sums[name]]
            bad = sums["failures"] or sums["unreachable"]
            color = constants.COLOR_ERROR if bad else constants.COLOR_OK
            self._show(f"{host}: {', '.join(counts) or 'nothing'}", color=color)

    def _show(self, text: str, color: str | None = None) -> None:
        self._display.display(shown(text), color=color)

    def _begun(self, task: Any, kind: str) -> None:
        name = task.get_name().rpartition(" : ")[2].strip()
        self._show(f"{name}{kind}...")

    def _line(self, result: Any, word: str, color: str, full: bool = False) -> None:
        data = _data(result)
        if "results" in data and not full and not self._display.verbosity:
            return  # its items were printed
        if self._display.verbosity > 1:
            text = f": {self._dump_results(data, indent=2)}"
        else:
            # The output of a task that changed something is shown with -v only.
            text = (
                _texts(data) if full or self._display.verbosity or not data.get("changed") else ""
            )
        item = self._get_item_label(data)
        label = f" [{to_text(item)}]" if item is not None and "results" not in data else ""
        self._show(f"  {_host(result)} {word}{label}{text}", color=color)


def _data(result: Any) -> Any:
    """What a task returned. Ansible 2.19 renamed the attribute."""
    return result.result if hasattr(result, "result") else result._result


def _host(result: Any) -> str:
    host = result.host if hasattr(result, "host") else result._host
    to = _data(result).get("_ansible_delegated_vars", {}).get("ansible_host")
    return f"{host.get_name()} -> {to}" if to else host.get_name()


def _action(result: Any) -> str:
    task = result.task if hasattr(result, "task") else result._task
    return task.action.rpartition(".")[2]


def _texts(data: Any) -> str:
    parts = []
    for name in SHOWN:
        text = " ".join(to_text(data.get(name) or "").split())
        if text and text != "All items completed":
            parts.append(f" | {name}: {text[:LONGEST]}")
    return "".join(parts)
