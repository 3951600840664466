"""roles/plugins and roles/plays, for people who run Ansible."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from ansible.errors import AnsibleFilterError

ROLES = Path(__file__).parents[3] / "roles"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spec = importlib.util.spec_from_file_location("g", ROLES / "plugins/filter/ghreltags.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def api() -> Iterator[tuple[str, list[str]]]:
    """An API with 150 tags of o/many and no other repository, and the requests it got."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization')}")
            there = self.path.startswith("/repos/o/many/tags")
            first = 100 if self.path.endswith("&page=2") else 0
            names = [{"name": f"v1.{n}.0"} for n in range(150)][first : first + 100]
            body = json.dumps(names).encode() if there else b"{}"
            self.send_response(200 if there else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_highest_version_of_an_answer(plugin: ModuleType) -> None:
    tags = [{"name": n} for n in ("v1.9", "v1.10.0-rc2", "v1.10.0", "v1.10.0-rc10", "chart-2.0")]
    assert plugin.ghreltags(tags, prefix="v") == "v1.10.0"
    assert plugin.ghreltags([t for t in tags if t["name"] != "v1.10.0"], prefix="v") == (
        "v1.10.0-rc10"
    )
    assert plugin.ghreltags({"tag_name": "v3", "name": "Three"}) == "v3"
    with pytest.raises(AnsibleFilterError, match="no tag that begins with 'x'"):
        plugin.ghreltags(tags, prefix="x")
    with pytest.raises(AnsibleFilterError, match="not a list of tags"):
        plugin.ghreltags([1])


def test_a_repository_is_requested_once(plugin: ModuleType, api: tuple[str, list[str]]) -> None:
    url, asked = api
    assert plugin.ghreltags("o/many", url=url, token="t") == "v1.149.0"
    assert plugin.ghreltags({"many": "v1.7.0"}, "o", "v", url=url) == {"many": "v1.7.0"}
    assert asked == [f"/repos/o/many/tags?per_page=100&page={n} Bearer t" for n in (1, 2)]
    plugin.ghreltags("o/many", url=url, cache_key="play")
    plugin.ghreltags("o/many", url=url, cache_key="play")
    assert len(asked) == 4
    plugin.ghreltags("o/many", url=url, max_age=0)
    assert len(asked) == 6
    with pytest.raises(AnsibleFilterError, match="404"):
        plugin.ghreltags("o/none", url=url)


def test_tags_that_cannot_be_cached_are_returned(
    plugin: ModuleType, api: tuple[str, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "plexctl").write_text("no folder")
    assert plugin.ghreltags("o/many", url=api[0]) == "v1.149.0"


@pytest.mark.parametrize("play", sorted((ROLES / "plays").glob("*.yml")), ids=lambda p: p.stem)
def test_plays_have_the_syntax_of_ansible(play: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("--syntax-check", "-i", "localhost,", "-e", "nodename=demo2", play),
        ],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _unixz(folder: Path, play: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "play.yml").write_text(play)
    return subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            *("-i", "one,", "-c", "local", "play.yml", *words),
        ],
        cwd=folder,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_STDOUT_CALLBACK": "unixz",
            "ANSIBLE_CALLBACK_PLUGINS": str(ROLES / "plugins/callback"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_unixz_prints_one_line_for_each_failure_and_change(tmp_path: Path) -> None:
    done = _unixz(
        tmp_path,
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - {name: Right already, ansible.builtin.command: echo x, changed_when: false}\n"
        "    - {name: Of many, ansible.builtin.command: 'echo {{ item }}', loop: [a, b]}\n"
        "    - {name: It fails, ansible.builtin.shell: 'echo why >&2; exit 3'}\n",
    )
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "all",
        "Right already...",
        "Of many...",
        "  one changed [a]",
        "  one changed [b]",
        "It fails...",
        "  one failed | msg: non-zero return code | stderr: why",
        "one: ok 2, changed 1, failed 1",
    ]


def test_what_a_node_prints_does_not_reach_the_terminal_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before\n")
    done = _unixz(
        tmp_path,
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        '    - {name: "\\e[2JName", ansible.builtin.debug: {msg: "a\\e]0;owned\\ab"}}\n'
        '    - {name: Many, ansible.builtin.command: "true", loop: ["\\e[31mx"]}\n'
        "    - name: Diff\n      ansible.builtin.copy:\n        dest: file\n"
        '        content: "\\e[8mhidden\\e[5n"\n'
        "    - {name: It fails, ansible.builtin.shell: 'printf \"\\\\033[31mwhy\" >&2; exit 3'}\n",
        "--diff",
    )
    assert not set(done.stdout) & set("\x1b\x07"), done.stdout
    for text in ("\\x1b[2JName...", "msg: a\\x1b]0;owned\\x07b", "[\\x1b[31mx]", "\\x1b[31mwhy"):
        assert text in done.stdout
    assert "\\x1b[5n" in done.stdout
