from __future__ import annotations

import re
from pathlib import Path

import pytest

from plexctl.depot.pins import load_pins
from plexctl.errors import PlexError


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


def test_an_unknown_key_in_the_pins_is_refused(pins_folder: Path) -> None:
    text = (pins_folder / "pins.yaml").read_text()
    (pins_folder / "pins.yaml").write_text(text.replace("sha256:", "sha265:"))
    with pytest.raises(PlexError, match="cannot be read") as caught:
        load_pins(pins_folder, "amd64")
    assert "sha265" in caught.value.details[0]
