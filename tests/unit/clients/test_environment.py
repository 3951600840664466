"""No variable of the user reaches a program that plexctl starts, except those of the lists."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import plexctl
from plexctl.bake.base import root_image
from plexctl.clients import environment as environments
from plexctl.clients import helm, process
from plexctl.clients.ansible import Play, apply
from plexctl.clients.environment import environment, users_ansible, users_environment
from plexctl.clients.sops import Sops
from plexctl.clients.ssh import SshClient
from plexctl.clients.tofu import Tofu
from plexctl.depot import debian, golang
from plexctl.model.secret import Secret
from tests.fake_incus import LOCAL, FakeIncus
from tests.null_reporter import NullReporter

from ..bake.host import BASE

HARMFUL = (
    # ansible-playbook, and the library that starts it
    *("ANSIBLE_RUN_TAGS", "ANSIBLE_SKIP_TAGS", "ANSIBLE_INVENTORY_ENABLED", "ANSIBLE_LIBRARY"),
    *("ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_CHECK_MODE_MARKERS", "ANSIBLE_STRATEGY"),
    *("ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_SSH_ARGS", "ANSIBLE_BECOME_EXE", "AWX_LIB_DIRECTORY"),
    *("AD_HOC_COMMAND_ID", "ORIGINAL_STDOUT_CALLBACK", "RUNNER_ONLY_FAILED_EVENTS", "JOB_ID"),
    # tofu
    *("TF_CLI_ARGS", "TF_CLI_ARGS_plan", "TF_CLI_ARGS_apply", "TF_WORKSPACE", "TF_DATA_DIR"),
    *("TF_VAR_plex", "TF_LOG", "TF_LOG_PATH", "TF_REATTACH_PROVIDERS", "TF_ENCRYPTION"),
    # incus, kubectl, helm, sops, git
    *("INCUS_PROJECT", "INCUS_REMOTE", "INCUS_CONF", "INCUS_DIR", "KUBECONFIG", "KUBE_EDITOR"),
    *("KUSTOMIZE_PLUGIN_HOME", "HELM_NAMESPACE", "HELM_KUBECONTEXT", "HELM_POST_RENDERER"),
    *("HELM_DRIVER", "SOPS_AGE_KEY", "SOPS_AGE_KEY_CMD", "SOPS_CONFIG", "SOPS_EDITOR"),
    *("GIT_DIR", "GIT_SSH_COMMAND", "GIT_CONFIG_COUNT", "GIT_EXEC_PATH", "GIT_PROXY_COMMAND"),
    *("VAULT_ADDR", "VAULT_TOKEN", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"),
    # go, gcc, pkg-config
    *("GOOS", "GOARCH", "GOAMD64", "GOEXPERIMENT", "GOROOT", "GODEBUG", "GOTMPDIR", "GOINSECURE"),
    *("CC", "CXX", "CGO_CFLAGS", "CGO_LDFLAGS", "CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH"),
    *("GCC_EXEC_PREFIX", "COMPILER_PATH", "PKG_CONFIG_PATH", "PKG_CONFIG_SYSROOT_DIR"),
    # tar, apt, dpkg, debootstrap, ssh, sh, gzip, curl
    *("TAR_OPTIONS", "APT_CONFIG", "DPKG_ROOT", "DPKG_FORCE", "DEBOOTSTRAP_DIR", "SSH_ASKPASS"),
    *("BASH_ENV", "ENV", "CDPATH", "POSIXLY_CORRECT", "GZIP", "XZ_OPT", "ZSTD_CLEVEL", "WGETRC"),
    # the loader, Python, locale
    *(
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "LD_BIND_NOW",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "PYTHONWARNINGS",
    ),
    *("PYTHONBREAKPOINT", "LANGUAGE", "LC_MESSAGES", "LC_TIME", "MALLOC_CONF", "GLIBC_TUNABLES_X"),
)


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which every variable of HARMFUL is set."""
    for name in HARMFUL:
        monkeypatch.setenv(name, "/nonexistent/harm")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("LANG", "de_DE.ISO-8859-1")


def written(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Creates a program that writes its environment to `environment`, first on the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def create(name: str) -> Path:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n/usr/bin/env >{tmp_path}/environment\necho '{{}}'\n")
        program.chmod(0o755)
        return program

    return create


def _go(program: Path, _: Path) -> object:
    return golang.go_environment()


def _sops(program: Path, folder: Path) -> object:
    (folder / "file.yaml").write_text("a: b\n")
    return Sops(program, Secret(b"key"), "age1x").decrypt(folder / "file.yaml")


def _tofu(program: Path, folder: Path) -> object:
    return Tofu(program, folder).plan()


STARTS: dict[str, Callable[[Path, Path], object]] = {
    "some": lambda program, _: process.run((program,), timeout=120),
    "streamed": lambda program, _: process.stream((program,), lambda line: None),
    "sops": _sops,
    "tofu": _tofu,
    "go": _go,
    "helm": lambda program, folder: helm.template(program, folder, "a", "b", {}),
    "ssh": lambda _, folder: SshClient("10.0.0.1", "root").run("true", timeout=120),
    "scp": lambda _, folder: SshClient("10.0.0.1", "root").send(folder, "/x", timeout=120),
    "apt-get": lambda *_: debian.closure(("tini",)),
}


@pytest.mark.parametrize("name", STARTS)
def test_programs_get_no_setting_of_another_tool(
    name: str, tmp_path: Path, stand_in: Callable[[str], Path], hostile: None
) -> None:
    program = stand_in(name)
    STARTS[name](program, tmp_path)
    found = written(tmp_path / "environment")
    ours = {"KUBECONFIG"} if name == "helm" else set()
    assert {one for one in HARMFUL if one in found} == ours
    assert "/nonexistent/harm" not in found.values()
    if name not in ("sops", "helm"):
        assert (found["LC_ALL"], found["LANG"]) == ("C.UTF-8", "C.UTF-8")
        assert found["PATH"] == os.environ["PATH"]


def test_debootstrap_gets_proxies_and_no_setting_of_another_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: None
) -> None:
    found: list[dict[str, str]] = []
    monkeypatch.setattr(process, "run", lambda *_, **__: None)

    def stream(argv: object, on_line: object, *, env: dict[str, str]) -> int:
        found.append(env)
        return 0

    monkeypatch.setattr(process, "stream", stream)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    incus = FakeIncus(LOCAL)
    monkeypatch.setattr(incus.images, "upload", lambda archive: archive.name)
    with NullReporter().step("") as step:
        root_image(incus, BASE, {}, tmp_path, step)
    assert not set(HARMFUL) & set(found[0])
    assert found[0]["http_proxy"] == "http://proxy.test:3128"


PRINTS = """\
- name: Print the environment
  ansible.builtin.command: /usr/bin/env
  register: found
- name: Hand it over
  ansible.builtin.set_stats:
    data: {found: "{{ found.stdout_lines }}"}
"""


def play(folder: Path, tasks: str) -> Play:
    role = folder / "somerole"
    (role / "tasks").mkdir(parents=True)
    (role / "tasks" / "layer.yml").write_text(tasks)
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    return Play(role, "layer", {"machine": here})


def test_ansible_gets_no_setting_of_the_user(tmp_path: Path, hostile: None) -> None:
    """The play itself runs, and its tasks see none of them."""
    applied = apply(play(tmp_path, PRINTS), work=tmp_path, log=tmp_path / "log")
    found = dict(line.partition("=")[::2] for line in applied.answers["found"])
    # The library sets these itself.
    assert set(HARMFUL) & set(found) == {"RUNNER_ONLY_FAILED_EVENTS", "AWX_LIB_DIRECTORY"}
    assert "/nonexistent/harm" not in found.values()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ANSIBLE_RUN_TAGS", "deploy"),
        ("ANSIBLE_SKIP_TAGS", "all"),
        ("ANSIBLE_INVENTORY_ENABLED", "ini"),
        ("ANSIBLE_VAULT_PASSWORD_FILE", "/nonexistent"),
    ],
)
def test_tags_of_the_user_do_not_empty_a_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """`ANSIBLE_RUN_TAGS=deploy plexctl bake kube` baked an image with nothing in it."""
    monkeypatch.setenv(name, value)
    applied = apply(play(tmp_path, PRINTS), work=tmp_path, log=tmp_path / "log")
    assert [task.name for task in applied.tasks] == ["Print the environment", "Hand it over"]


def test_arguments_of_the_user_do_not_reach_a_plan(
    tmp_path: Path, stand_in: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`TF_CLI_ARGS_plan=-destroy plexctl up` applied a plan that deletes everything."""
    for name in ("TF_CLI_ARGS_plan", "TF_CLI_ARGS"):
        monkeypatch.setenv(name, "-destroy")
    monkeypatch.setenv("TF_WORKSPACE", "other")
    monkeypatch.setenv("TF_DATA_DIR", "/elsewhere")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "/etc/tofu.rc")
    monkeypatch.setenv("TF_TOKEN_registry_example_com", "a login")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    tofu = Tofu(stand_in("tofu"), tmp_path)
    tofu.plan()
    plan = written(tmp_path / "environment")
    tofu.init()
    init = written(tmp_path / "environment")
    assert {name for name in plan if name.startswith("TF_")} == {
        *("TF_CLI_CONFIG_FILE", "TF_TOKEN_registry_example_com", "TF_IN_AUTOMATION", "TF_INPUT")
    }
    assert "HTTPS_PROXY" not in plan, "no proxy is between plexctl and a host"
    assert init["HTTPS_PROXY"] == "http://proxy.test:3128"


def test_only_what_the_lists_name_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        monkeypatch.delenv(name)
    for name in ("HOME", "SSH_AUTH_SOCK", "HTTPS_PROXY", "TF_TOKEN_a", "CANARY"):
        monkeypatch.setenv(name, "x")
    assert environment() == {"HOME": "x", **environments.LOCALE}
    assert environment(environments.SSH, environments.NETWORK, prefixes=("TF_TOKEN_",)) == {
        **dict.fromkeys(("HOME", "SSH_AUTH_SOCK", "HTTPS_PROXY", "TF_TOKEN_a"), "x"),
        **environments.LOCALE,
    }
    assert all(reason for reason in environments.GO.values())


def test_the_users_own_programs_have_the_users_settings(hostile: None) -> None:
    """The editor, an interactive ssh, and what the commands in bin/ wrap."""
    assert users_environment() == dict(os.environ)
    ansible = users_ansible()
    assert ansible["ANSIBLE_RUN_TAGS"] == "/nonexistent/harm"
    assert not [name for name in ansible if name.startswith(("PYTHON", "LD_"))]
    assert ansible["LC_ALL"] == "C.UTF-8"


def test_no_other_module_starts_a_process() -> None:
    """`clients/plays.py` starts Ansible through its library, with an environment of its own."""
    package = Path(plexctl.__file__).parent
    starts = {"subprocess", "pexpect", "ansible_runner", "pty"}
    found = set()
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = (
                [one.name for one in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            calls = isinstance(node, ast.Attribute) and node.attr.startswith(
                ("exec", "spawn", "popen", "posix_spawn")
            )
            system = calls and isinstance(node, ast.Attribute) and _is_os(node.value)
            if system or {module.partition(".")[0] for module in modules} & starts:
                found.add(file.relative_to(package).as_posix())
    assert found == {"clients/process.py", "clients/plays.py"}


def _is_os(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "os"
