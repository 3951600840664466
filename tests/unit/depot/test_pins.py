from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path

import pytest

from plexctl.depot import components
from plexctl.depot.pins import load_pins
from plexctl.errors import ConfigError, PlexError

VERSIONS = load_pins().versions()
RECORDED = Path(__file__).parents[1] / "plan"


@pytest.mark.parametrize("version", VERSIONS)
def test_images_are_those_of_kubeadm(version: str) -> None:
    # `bin/pin` recorded `kubeadm config images list --kubernetes-version v…`.
    recorded = (RECORDED / f"kubeadm-{version}" / "images").read_text().split()

    assert sorted(load_pins().release(version).images.values()) == recorded


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


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_are_those_that_go_mod_requires(version: str) -> None:
    for component in load_pins().release(version).components.values():
        for name, module in component.modules.items():
            required = re.findall(r"^(?:require|)\s(\S+) v([0-9.]+)\b", module.go_mod, re.MULTILINE)
            # Sources of our own have the version of what they are made of, which comes first.
            package = required[0][0] if module.sources else next(iter(module.programs.values()))
            versions = {v for path, v in required if f"{package}/".startswith(f"{path}/")}
            assert versions == {module.version}, name


def test_genesis_has_the_etcd_of_the_depot() -> None:
    modules = {
        name: module
        for component in load_pins().release("1.36.3").components.values()
        for name, module in component.modules.items()
    }
    required = {
        name: dict(re.findall(r"^(?:require|)\s(\S+) (v\S+)", modules[name].go_mod, re.MULTILINE))
        for name in ("genesis", "etcd")
    }
    both = required["genesis"].keys() & required["etcd"].keys()
    assert {"go.etcd.io/etcd/server/v3", "go.etcd.io/raft/v3"} < both
    assert all(required["genesis"][path] == required["etcd"][path] for path in both)


def test_own_programs_are_built_from_all_their_sources() -> None:
    for component in load_pins().release("1.36.3").components.values():
        for name, module in component.modules.items():
            files = Path(str(resources.files("plexctl") / "pins" / name)).glob("*.go")
            own = {file.name for file in files if not file.name.endswith("_test.go")}
            assert set(module.sources) == own, name


def test_optional_components_are_built_only(tmp_path: Path) -> None:
    text = "components: {own: {optional: true, release: {}, gobuild: {version: 1.0.0}}}"
    (tmp_path / "pins.yaml").write_text(text)
    assert [field for _, field, _ in problems(tmp_path)] == [
        "components.own.release",
        "components.own.gobuild.module",
        "components.own.gobuild.programs",
    ]
    assert load_pins().release("1.36.3").component("genesis").optional


def test_flux_build_has_the_packages_of_the_controller() -> None:
    """Another version of one of them could build a tree in another way."""

    def required(component: str, module: str) -> dict[str, str]:
        go_mod = load_pins().release("1.36.3").component(component).modules[module].go_mod
        return dict(re.findall(r"^(?:require)?\s(\S+\.\S+/\S+) (v\S+)", go_mod, re.MULTILINE))

    controller = required("flux", "flux-kustomize-controller")
    own = required("flux-build", "flux-build")
    common = own.keys() & controller.keys()
    assert {"github.com/fluxcd/pkg/kustomize", "sigs.k8s.io/kustomize/api"} <= common
    assert {name: controller[name] for name in common} == {name: own[name] for name in common}
    # Two that only programs for Windows need, which `go mod tidy` adds.
    assert len(own.keys() - common) <= 2


def test_a_component_may_have_no_release(tmp_path: Path) -> None:
    component = load_pins().release("1.36.3").component("flux-build")
    assert (component.release, component.versions) == (None, ("1.9.5",))
    (tmp_path / "pins.yaml").write_text(
        "components:\n"
        "  flux-build:\n"
        "    gobuild: {version: 1.9.6, module: flux-build, programs: [flux-build]}\n"
    )
    own = load_pins(tmp_path).release("1.36.3").component("flux-build")
    assert own.versions == ("1.9.6",)


def test_a_key_depends_on_what_decides_the_bytes(
    pins_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    monkeypatch.setattr(components, "PACKAGES", {"argocd": ("git",)})
    changed |= {name for name, key in keys().items() if key != before[name]}
    assert changed == {"containerd", "cni-plugins", "argocd"}  # whose image has other packages
    ours, theirs = (load_pins(architecture=arch).keys() for arch in ("amd64", "arm64"))
    assert not ours & theirs


def test_newest_version_comes_first(pins_folder: Path) -> None:
    text = (pins_folder / "pins.yaml").read_text()
    body = text.partition("1.36.3:\n")[2].partition("modules:")[0]
    module = text.partition("  kubernetes:\n")[2].partition("  containerd:")[0]
    for version in ("1.36.10", "1.9.0"):
        own = body.replace("1.36.3", version).replace("module: kubernetes", f"module: k{version}")
        text = text.replace("modules:", f"  {version}:\n{own}modules:")
        text += f"  k{version}:\n{module}".replace("1.36.3", version)
        shutil.copytree(pins_folder / "kubernetes", pins_folder / f"k{version}")
    (pins_folder / "pins.yaml").write_text(text)
    assert load_pins(pins_folder, "amd64").versions() == ("1.36.10", *VERSIONS, "1.9.0")


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


KUBERNETES = """kubernetes:
  1.36.9:
    release:
      version: 1.36.9
      downloads:
        - {url: "https://example.org/{arch}/kubeadm", artifact: kubeadm}
        - {url: "https://example.org/{arch}/all.tar.gz", members: {kubelet: a, kubectl: b}}
    gobuild: {version: 1.36.9, module: own, programs: [kubeadm, kubelet, kubectl]}
    images:
      kube-apiserver: {reference: "registry.k8s.io/kube-apiserver:v1.36.9"}
      kube-controller-manager: {reference: "registry.k8s.io/kube-controller-manager:v1.36.9"}
      kube-scheduler: {reference: "registry.k8s.io/kube-scheduler:v1.36.9"}
      kube-proxy: {reference: "registry.k8s.io/kube-proxy:v1.36.9"}
      coredns: {reference: "registry.k8s.io/coredns/coredns:v1.14.2"}
      pause: {reference: "registry.k8s.io/pause:3.10.2"}
      etcd: {reference: "registry.k8s.io/etcd:3.6.8-0"}
modules:
  own:
    version: 1.36.9
    core_seconds: 1
    programs: {kubeadm: a, kubelet: b, kubectl: c}
"""


def _own_module(folder: Path, text: str) -> None:
    (folder / "pins.yaml").write_text(text)
    (folder / "own").mkdir(exist_ok=True)
    for name in ("go.mod", "go.sum"):
        (folder / "own" / name).touch()


def test_a_version_of_kubernetes_of_a_lab_whose_parts_fit_is_taken(tmp_path: Path) -> None:
    _own_module(tmp_path, KUBERNETES)
    assert load_pins(tmp_path, "amd64", whole=True).versions() == ("1.36.9", *VERSIONS)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message"),
    [
        (
            "      version: 1.36.9",
            "      version: 1.36.8",
            4,
            "release.version",
            "the programs of Kubernetes 1.36.9 must have this version",
        ),
        ("gobuild: {version: 1.36.9", "gobuild: {version: 1.36.8", 8, "gobuild.version", "the pro"),
        ("apiserver:v1.36.9", "apiserver:v1.36.8", 10, "images.kube-apiserver.reference", "kubead"),
        ("module: own", "module: onw", 8, "gobuild.module", "there is no module onw"),
        ("[kubeadm,", "[kubeadn,", 8, "gobuild.programs[0]", "the module own has no program kube"),
        ("kubectl: b", "kubectI: b", 5, "release.downloads", "no download has kubectl, which"),
        (", artifact: kubeadm", "", 6, "release.downloads[0]", "a download needs either"),
        (
            "artifact: kubeadm",
            f"artifact: kubeadm, sha256: {{arm64: {'a' * 64}}}",
            6,
            "release.downloads[0].sha256",
            "has no checksum for amd64, the architecture of this machine",
        ),
        (
            '{arch}/kubeadm", artifact: kubeadm',
            f'kubeadm", artifact: kubeadm, sha256: {{arm64: {"a" * 64}, amd64: {"b" * 64}}}',
            6,
            "release.downloads[0].url",
            "one file cannot have the checksums of two architectures",
        ),
        (
            '      etcd: {reference: "registry.k8s.io/etcd:3.6.8-0"}\n',
            "",
            9,
            "images",
            "lacks etcd,",
        ),
        (
            "    version: 1.36.9\n    core",
            "    version: 1.36.8\n    core",
            8,
            "gobuild.module",
            "the module own has version 1.36.8, not 1.36.9",
        ),
    ],
)
def test_parts_that_do_not_fit_are_reported_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, field: str, message: str
) -> None:
    """They failed in a download, in a bake or on a node, or nodes pulled from the Internet."""
    assert KUBERNETES.count(old) == 1
    _own_module(tmp_path, KUBERNETES.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_pins(tmp_path, "amd64", whole=True)
    found = [(one.line, one.field, one.message) for one in caught.value.problems]
    assert any(
        (at, where) == (line, f"kubernetes.1.36.9.{field}") and text.startswith(message)
        for at, where, text in found
    ), found


def test_checksums_for_other_architectures_alone_are_an_error(pins_folder: Path) -> None:
    """They switched the check off: any bytes were taken."""
    file = pins_folder / "pins.yaml"
    file.write_text(file.read_text().replace("sha256: {amd64:", "sha256: {arm64:"))
    message = "has no checksum for amd64, the architecture of this machine"
    assert [(field, text) for _, field, text in problems(pins_folder)] == [
        ("components.containerd.release.downloads[0].sha256", message),
        ("kubernetes.1.36.3.release.downloads[0].sha256", message),
    ]


@pytest.mark.parametrize("missing", ["go.mod", "go.sum"])
def test_a_module_of_a_lab_has_its_files(tmp_path: Path, missing: str) -> None:
    _own_module(tmp_path, KUBERNETES)
    (tmp_path / "own" / missing).unlink()
    ((line, field, message),) = problems(tmp_path)
    assert (line, field) == (18, "modules.own")
    assert message == f"the file {tmp_path}/own/{missing} does not exist"


def test_an_own_component_has_what_nodes_need(tmp_path: Path) -> None:
    """A bake failed at the role that installs the missing plugin."""
    text = (
        "components:\n  cni-plugins:\n    release: {version: 1.9.2, downloads: [{url: "
        "'https://example.org/cni.tgz', members: {ptp: ptp, loopback: loopback}}]}\n"
        "    gobuild: {version: 1.9.1, module: containerd, programs: [ptp, loopback]}\n"
    )
    (tmp_path / "pins.yaml").write_text(text)
    assert load_pins(tmp_path, "amd64").release("1.36.3").components["cni-plugins"]
    with pytest.raises(ConfigError) as caught:
        load_pins(tmp_path, "amd64", whole=True)
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (4, "components.cni-plugins.gobuild.programs")
    assert problem.message == "lacks bridge, host-local, portmap, which plexctl needs"


def test_a_module_of_a_lab_keeps_the_programs_that_built_in_components_need(tmp_path: Path) -> None:
    text = "modules: {containerd: {version: 2.3.8, core_seconds: 1, programs: {containerd: a}}}\n"
    (tmp_path / "pins.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_pins(tmp_path, "amd64", whole=True)
    found = {(one.line, one.field, one.message) for one in caught.value.problems}
    lacks = "lacks bridge, host-local, loopback, portmap, ptp, which components.cni-plugins needs"
    assert (1, "modules.containerd.programs", lacks) in found


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
