from __future__ import annotations

import re
from pathlib import Path

import pytest

from plexctl.depot.pins import load_pins
from plexctl.errors import ConfigError, PlexError


def test_images_are_those_of_kubeadm() -> None:
    # `kubeadm config images list --kubernetes-version v1.36.3`
    assert sorted(load_pins().release("1.36.3").images.values()) == [
        "registry.k8s.io/coredns/coredns:v1.14.2",
        "registry.k8s.io/etcd:3.6.8-0",
        "registry.k8s.io/kube-apiserver:v1.36.3",
        "registry.k8s.io/kube-controller-manager:v1.36.3",
        "registry.k8s.io/kube-proxy:v1.36.3",
        "registry.k8s.io/kube-scheduler:v1.36.3",
        "registry.k8s.io/pause:3.10.2",
    ]


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_every_program_has_a_checksum_and_a_build(architecture: str) -> None:
    for version in load_pins(architecture=architecture).versions():
        release = load_pins(architecture=architecture).release(version)
        for component in release.components.values():
            if component.release is None:
                continue
            downloads = component.release.downloads
            fetched = {name for d in downloads for name in (d.members or {d.artifact or "": ""})}
            assert fetched == set(component.artifacts)
            # What has no checksum here is locked in the lab at its first fill.
            known = [d.sha256[architecture] for d in downloads if d.sha256]
            assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in known)


def test_versions_are_those_that_go_mod_requires() -> None:
    for component in load_pins().release("1.36.3").components.values():
        for name, module in component.modules.items():
            required = re.findall(r"^(?:require|)\s(\S+) v([0-9.]+)\b", module.go_mod, re.MULTILINE)
            # Sources of our own have the version of what they are made of, which comes first.
            package = required[0][0] if module.sources else next(iter(module.programs.values()))
            versions = {v for path, v in required if f"{package}/".startswith(f"{path}/")}
            assert versions == {module.version}, name


def test_a_key_depends_on_what_decides_the_bytes(pins_folder: Path) -> None:
    def keys() -> dict[str, str]:
        release = load_pins(pins_folder, "amd64").release("1.36.3")
        return {name: component.key for name, component in release.components.items()}

    before = keys()
    text = (pins_folder / "pins.yaml").read_text()
    (pins_folder / "pins.yaml").write_text(text.replace("core_seconds: 1000", "core_seconds: 1"))
    assert keys() == before
    (pins_folder / "containerd" / "go.sum").write_text("another")
    changed = {name for name, key in keys().items() if key != before[name]}
    assert changed == {"containerd", "cni-plugins"}  # both are built from this module
    assert load_pins(pins_folder, "arm64").release("1.36.3").components["kubernetes"].key not in (
        before.values()
    )


def test_newest_version_comes_first(pins_folder: Path) -> None:
    text = (pins_folder / "pins.yaml").read_text()
    body = text.partition("1.36.3:\n")[2].partition("modules:")[0]
    (pins_folder / "pins.yaml").write_text(
        text.replace("modules:", f"  1.36.10:\n{body}  1.9.0:\n{body}modules:")
    )
    assert load_pins(pins_folder, "amd64").versions() == ("1.36.10", "1.36.3", "1.9.0")


def test_pins_of_a_lab_override_the_built_in_ones(tmp_path: Path) -> None:
    builtin = load_pins(tmp_path / "missing", "amd64").release("1.36.3").components
    (tmp_path / "pins.yaml").write_text(
        """components:
  runc:
    release: {version: 9.9.9, downloads: [{url: https://example.org/runc, artifact: runc}]}
    gobuild: {version: 1.4.0, module: runc, programs: [runc]}
"""
    )
    own = load_pins(tmp_path, "amd64").release("1.36.3").components
    assert own["runc"].versions == ("9.9.9", "1.4.0")
    assert {name for name in own if own[name] != builtin[name]} == {"runc"}


def test_an_error_lists_the_pinned_versions() -> None:
    with pytest.raises(PlexError, match=r"Kubernetes 1\.2\.3 is not supported") as caught:
        load_pins().release("1.2.3")
    assert "1.36.3" in (caught.value.hint or "")
    with pytest.raises(PlexError, match="no component 'kubectl'"):
        load_pins().release("1.36.3").component("kubectl")


def problems(folder: Path) -> list[tuple[int, str, str]]:
    """Line, field and message of everything that is wrong in a pins.yaml."""
    with pytest.raises(ConfigError) as caught:
        load_pins(folder, "amd64")
    assert caught.value.exit_code == 2
    assert {problem.file for problem in caught.value.problems} == {folder / "pins.yaml"}
    return [(problem.line, problem.field, problem.message) for problem in caught.value.problems]


def test_an_unknown_key_in_the_pins_is_refused(pins_folder: Path) -> None:
    text = (pins_folder / "pins.yaml").read_text()
    (pins_folder / "pins.yaml").write_text(text.replace("sha256:", "sha265:"))
    ((line, field, message), *_) = problems(pins_folder)
    assert "sha265:" in text.replace("sha256:", "sha265:").splitlines()[line - 1]
    assert field.endswith(".release.downloads[0].sha265")
    assert message.startswith("unknown field; known: url, sha256")


RUNC = """components:
  runc:
    release:
      version: 9.9.9
      downloads:
        - url: https://example.org/{version}/runc
          sha256: {amd64: DIGEST}
          artifact: runc
    gobuild: {version: 1.4.0, module: runc, programs: [runc]}
modules:
  runc:
    version: 1.4.0
    core_seconds: 30
    programs: {runc: github.com/opencontainers/runc}
    variables: {main.version: v1}
    c_programs: {pause: {version: 3.10.2, module: k8s.io/kubernetes, source: build/pause.c}}
""".replace("DIGEST", "a" * 64)


def test_fields_of_a_lab_have_their_patterns(tmp_path: Path) -> None:
    (tmp_path / "pins.yaml").write_text(RUNC)
    own = load_pins(tmp_path, "amd64").release("1.36.3").components["runc"]
    assert own.modules["runc"].variables == {"main.version": "v1"}


DOWNLOAD, RUNC_MODULE = "components.runc.release.downloads[0]", "modules.runc"


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        # A misspelt architecture or digest switched the check of the download off.
        ("amd64:", "adm64:", 7, f"{DOWNLOAD}.sha256.adm64"),
        ("a" * 64, "a" * 63, 7, f"{DOWNLOAD}.sha256.amd64"),
        ("a" * 64, '"-1"', 7, f"{DOWNLOAD}.sha256.amd64"),
        # Files outside of the working folder were written.
        (
            "artifact: runc",
            "artifact: /etc/cron.d/x",
            8,
            f"{DOWNLOAD}.artifact",
        ),
        (
            "artifact: runc",
            'members: {"../../../x": a}',
            8,
            f"{DOWNLOAD}.members.../../../x",
        ),
        (
            "artifact: runc",
            "members: {runc: ../runc}",
            8,
            f"{DOWNLOAD}.members.runc",
        ),
        # Options of the go command.
        (
            "{runc: github.com/opencontainers/runc}",
            '{runc: "-toolexec=/tmp/evil.sh"}',
            14,
            f"{RUNC_MODULE}.programs.runc",
        ),
        (
            "main.version: v1",
            'main.version: "1 -extld=/tmp/evil"',
            15,
            f"{RUNC_MODULE}.variables.main.version",
        ),
        (
            "source: build/pause.c",
            "source: ../../pause.c",
            16,
            f"{RUNC_MODULE}.c_programs.pause.source",
        ),
        (
            "module: k8s.io/kubernetes",
            "module: -mod=mod",
            16,
            f"{RUNC_MODULE}.c_programs.pause.module",
        ),
        ("https:", "http:", 6, f"{DOWNLOAD}.url"),
        (
            "example.org/{version}",
            "example.org/{0.__class__}",
            6,
            f"{DOWNLOAD}.url",
        ),
        ("version: 9.9.9", "version: ' '", 4, "components.runc.release.version"),
        ("programs: [runc]", 'programs: "1-3"', 9, "components.runc.gobuild.programs"),
        ("core_seconds: 30", "core_seconds: many", 13, f"{RUNC_MODULE}.core_seconds"),
        ("core_seconds: 30", "version: 1.4.1", 13, f"{RUNC_MODULE}.version"),
        ("modules:", "moduls:", 10, "moduls"),
    ],
)
def test_a_wrong_value_is_reported_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, field: str
) -> None:
    (tmp_path / "pins.yaml").write_text(RUNC.replace(old, new, 1))
    assert (line, field) in [found[:2] for found in problems(tmp_path)]


@pytest.mark.parametrize("content", ["a: ]", "a: \x01", b"\xff", None])
def test_a_file_that_cannot_be_read_is_reported(
    tmp_path: Path, content: str | bytes | None
) -> None:
    """Also a link to nothing, which was ignored."""
    file = tmp_path / "pins.yaml"
    if content is None:
        file.symlink_to("nowhere")
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert problems(tmp_path)[0][0] == 1
