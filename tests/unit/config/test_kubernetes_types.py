"""Fields of kubelet and kube-proxy have their types, and flags are those of the programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plexctl.config import kubernetes_types
from plexctl.config.kubernetes import KUBELET, PROXY
from plexctl.config.kubernetes_types import (
    FOLDER,
    NEWEST,
    fields_of,
    file_of,
    flag_fault,
    is_known,
    minor_of,
    tables,
)
from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins
from plexctl.errors import ConfigError
from plexctl.plan.kubernetes.static_pods import static_pods

from .labs import VERSIONS, lab, plex_faults

WINDOWS = {"winkernel", "windowsRunAsService"}


@pytest.mark.parametrize(
    ("kubelet", "expected"),
    [
        (
            "{maxPods: '500'}",
            "maxPods: must be a whole number, not '500' (write 500 without quotes)",
        ),
        ("{maxPods: abc}", "maxPods: must be a whole number, not 'abc'"),
        ("{maxPods: true}", "maxPods: must be a whole number, not true"),
        ("{maxPods: 1.5}", "maxPods: must be a whole number, not 1.5"),
        ("{maxPods: 3000000000}", "maxPods: must be between -2147483648 and 2147483647, not 3"),
        ("{maxPods: }", "maxPods: must be a whole number, not nothing"),
        ("{cpuCFSQuota: 'yes'}", "cpuCFSQuota: must be true or false, not 'yes'"),
        (
            "{cpuManagerReconcilePeriod: 10}",
            "cpuManagerReconcilePeriod: must be text, not 10 (put the value in quotes)",
        ),
        (
            "{syncFrequency: 10 seconds}",
            "syncFrequency: must be a duration, not '10 seconds' (for example 30s, 5m or 1h30m)",
        ),
        ("{evictionHard: [a]}", "evictionHard: must be a mapping, not a list"),
        (
            "{evictionHard: {memory.available: 100}}",
            "evictionHard.memory.available: must be text, not 100 (put the value in quotes)",
        ),
        ("{allowedUnsafeSysctls: a}", "allowedUnsafeSysctls: must be a list, not 'a' (write it in"),
        ("{allowedUnsafeSysctls: [1]}", "allowedUnsafeSysctls[0]: must be text, not 1"),
        (
            "{logging: {verbosty: 4}}",
            "logging.verbosty: unknown field (did you mean `verbosity`?)",
        ),
        ("{logging: {verbosity: high}}", "logging.verbosity: must be a whole number, not 'high'"),
        (
            "{reservedMemory: [{numaNode: 0, limits: {memory: much}}]}",
            "reservedMemory[0].limits.memory: must be a quantity, not 'much'",
        ),
        ("{featureGates: {A: 'on'}}", "featureGates.A: must be true or false, not 'on'"),
        ("{memoryThrottlingFactor: much}", "memoryThrottlingFactor: must be a number, not 'much'"),
    ],
)
def test_a_value_of_another_type_is_refused_at_its_place(
    tmp_path: Path, kubelet: str, expected: str
) -> None:
    (fault,) = plex_faults(tmp_path, f"groups: [{{nodes: 2, kubelet: {kubelet}}}]\n")
    assert fault.startswith(f"1 groups[0].kubelet.{expected}")


def test_fields_of_kube_proxy_are_checked(tmp_path: Path) -> None:
    (fault,) = plex_faults(tmp_path, "kubeadm: {proxy: {conntrack: {maxPerCore: many}}}\n")
    assert fault == "1 kubeadm.proxy.conntrack.maxPerCore: must be a whole number, not 'many'"


def test_values_of_the_right_type_are_taken(tmp_path: Path) -> None:
    text = (
        "groups:\n- nodes: 2\n  kubelet:\n    maxPods: 500\n    syncFrequency: 1m30s\n"
        "    evictionHard: {memory.available: 100Mi}\n    memoryThrottlingFactor: 0.8\n"
        "    reservedMemory: [{numaNode: 0, limits: {memory: 2Gi, cpu: 1}}]\n"
        "    logging: {flushFrequency: 5s, options: {json: {infoBufferSize: '0'}}}\n"
        "    shutdownGracePeriodByPodPriority: [{priority: 1, shutdownGracePeriodSeconds: 9}]\n"
        "    seccompDefault: true\n    tlsCipherSuites: []\n"
        "kubeadm: {proxy: {conntrack: {maxPerCore: 0}, nodePortAddresses: [primary]}}\n"
    )
    assert load_lab(lab(tmp_path, clusters__demo__plex=text), VERSIONS).plexes["demo"]


@pytest.mark.parametrize(("program", "shape"), [("kubelet", KUBELET), ("proxy", PROXY)])
def test_every_field_of_the_programs_can_be_set_or_has_a_hint(program: str, shape: object) -> None:
    settings = KUBELET if shape is KUBELET else PROXY
    ours = settings.known.keys() | settings.owned.keys()
    assert ours == fields_of(program) - WINDOWS | {"apiVersion"}
    assert not settings.known.keys() & settings.owned.keys()


@pytest.mark.parametrize(
    ("component", "argument", "expected"),
    [
        (
            "apiServer",
            "{name: event-tll, value: 2h}",
            "name: kube-apiserver has no flag event-tll (did you mean `event-ttl`?)",
        ),
        ("apiServer", "{name: --event-ttl, value: 2h}", "name: '--event-ttl' is not the name of a"),
        (
            "apiServer",
            "{name: event-ttl, value: two hours}",
            "value: must be a duration such as 30s, not 'two hours'",
        ),
        (
            "apiServer",
            "{name: profiling, value: nope}",
            "value: must be true or false, not 'nope'",
        ),
        ("scheduler", "{name: event-ttl, value: 2h}", "name: kube-scheduler has no flag event-ttl"),
        (
            "controllerManager",
            "{name: concurrent-gc-syncs, value: many}",
            "value: must be a whole number, not 'many'",
        ),
        ("scheduler", "{name: 'v\\0', value: '1'}", "name: 'v\\x00' is not the name of a flag"),
        ("scheduler", '{name: v, value: "1\\n2"}', "value: contains a control character"),
    ],
)
def test_a_flag_that_no_program_takes_is_refused(
    tmp_path: Path, component: str, argument: str, expected: str
) -> None:
    argument = argument.replace("'v\\0'", '"v\\0"')
    text = f"kubeadm: {{cluster: {{{component}: {{extraArgs: [{argument}]}}}}}}\n"
    (fault,) = plex_faults(tmp_path, text)
    assert fault.startswith(f"1 kubeadm.cluster.{component}.extraArgs[0].{expected}")


def test_flags_of_a_version_that_the_lab_pins_are_not_checked(tmp_path: Path) -> None:
    text = "kubeadm: {cluster: {apiServer: {extraArgs: [{name: new-in-1-40, value: '1'}]}}}\n"
    root = lab(tmp_path, clusters__demo__plex=text)
    assert load_lab(root, ["1.40.1"]).plexes["demo"]
    (fault,) = plex_faults(tmp_path, text)
    assert "kube-apiserver has no flag new-in-1-40" in fault


def test_flags_of_etcd_are_checked(tmp_path: Path) -> None:
    text = "kubeadm: {cluster: {etcd: {local: {extraArgs: [{name: snapshot-cont, value: '1'}]}}}}\n"
    (fault,) = plex_faults(tmp_path, text)
    assert fault.endswith("etcd has no flag snapshot-cont (did you mean `snapshot-count`?)")


@pytest.mark.parametrize(
    ("program", "name", "value"),
    [
        ("kube-apiserver", "v", "4"),
        ("kube-apiserver", "vmodule", "httplog=4"),
        ("kube-apiserver", "apiserver-count", "1"),  # deprecated: no help lists it
        ("kube-apiserver", "feature-gates", "AllAlpha=true,APIServerIdentity=true"),
        ("kube-apiserver", "profiling", "False"),
        ("kube-apiserver", "event-ttl", "1h30m"),
        ("kube-controller-manager", "node-monitor-grace-period", "20s"),
        ("etcd", "unsafe-no-fsync", "true"),
        ("etcd", "quota-backend-bytes", "8589934592"),
    ],
)
def test_a_flag_of_a_program_is_taken(program: str, name: str, value: str) -> None:
    assert flag_fault(program, name, value) is None


@pytest.mark.parametrize(
    "version", [one for one in load_pins().versions() if is_known(minor_of(one))]
)
def test_the_table_has_every_flag_that_plexctl_sets(tmp_path: Path, version: str) -> None:
    """A flag that the generator of the table overlooks would be refused."""
    text = f"kubernetes: {version}\n"
    demo = load_lab(lab(tmp_path, clusters__demo__plex=text), [version]).plexes["demo"]
    images = dict.fromkeys(load_pins().release(demo.kubernetes).images, "image")
    for program, pod in static_pods(demo, images).items():
        _, *words = pod["spec"]["containers"][0]["command"]
        assert len(words) > 4
        for word in words:
            name, _, value = word.removeprefix("--").partition("=")
            assert flag_fault(program, name, value, minor_of(version)) is None, word


@pytest.mark.parametrize("file", sorted(FOLDER.glob("kubernetes-*.json")), ids=lambda one: one.stem)
def test_a_table_is_that_of_the_newest_patch_of_a_pinned_minor_version(file: Path) -> None:
    minor = file.stem.removeprefix("kubernetes-")
    newest = next(one for one in load_pins().versions() if minor_of(one) == minor)

    assert tables(minor)["source"]["kubernetes"] == newest, "run `bin/docs kubernetes`"


def test_the_schema_has_the_fields_of_the_newest_version() -> None:
    assert minor_of(load_pins().versions()[0]) == NEWEST


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "groups: [{nodes: 2, kubelet: {featureGates: {UserNamespaceSupport: true}}}]",
            "groups[0].kubelet.featureGates.UserNamespaceSupport: kubelet has no feature gate"
            " UserNamespaceSupport (did you mean `UserNamespacesSupport`?)",
        ),
        (
            "kubeadm: {cluster: {featureGates: {RootlessControlPlanes: true}}}",
            "kubeadm.cluster.featureGates.RootlessControlPlanes: kubeadm has no feature gate"
            " RootlessControlPlanes (did you mean `RootlessControlPlane`?)",
        ),
        (
            "kubeadm: {cluster: {featureGates: {UserNamespacesSupport: true}}}",
            "kubeadm.cluster.featureGates.UserNamespacesSupport: kubeadm has no feature gate"
            " UserNamespacesSupport (use one of `NodeLocalCRISocket`, `PublicKeysECDSA`,"
            " `RootlessControlPlane`)",
        ),
        (
            "kubeadm: {proxy: {featureGates: {APIServerTracing: false}}}",
            "kubeadm.proxy.featureGates.APIServerTracing: the feature gate APIServerTracing is"
            " always true (remove it)",
        ),
        (
            "kubeadm: {cluster: {scheduler: {extraArgs: [{name: feature-gates, value: 'AllAlpha="
            "true,kube:NoGate=true'}]}}}",
            "kubeadm.cluster.scheduler.extraArgs[0].value: kube-scheduler has no feature gate"
            " NoGate",
        ),
        (
            "kubeadm: {cluster: {apiServer: {extraArgs: [{name: feature-gates, value: AllBeta}]}}}",
            "kubeadm.cluster.apiServer.extraArgs[0].value: 'AllBeta' is not a feature gate (for"
            " example AllAlpha=false)",
        ),
        (
            "kubeadm: {cluster: {scheduler: {extraArgs: [{name: feature-gates, value: "
            "ControllerManagerReleaseLeaderElectionLockOnExit=true}]}}}",
            "kubeadm.cluster.scheduler.extraArgs[0].value: kube-scheduler has no feature gate"
            " ControllerManagerReleaseLeaderElectionLockOnExit",
        ),
    ],
)
def test_a_feature_gate_with_which_no_program_starts_is_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    (fault,) = plex_faults(tmp_path, f"{text}\n")
    assert fault.startswith(f"1 {expected}")


def test_feature_gates_of_the_programs_are_taken(tmp_path: Path) -> None:
    text = (
        "groups: [{nodes: 2, kubelet: {featureGates: {AllBeta: false, NativeHistograms: true}}}]\n"
        "kubeadm:\n  proxy: {featureGates: {APIServerTracing: true}}\n"
        "  cluster:\n    featureGates: {PublicKeysECDSA: true}\n    apiServer: {extraArgs: [{name: "
        "feature-gates, value: 'kube:AllAlpha=true,APIServerIdentity=False'}]}\n"
    )
    assert load_lab(lab(tmp_path, clusters__demo__plex=text), VERSIONS).plexes["demo"]


def test_feature_gates_of_a_version_that_the_lab_pins_are_not_checked(tmp_path: Path) -> None:
    text = "groups: [{nodes: 2, kubelet: {featureGates: {NewIn140: true}}}]\n"
    root = lab(tmp_path, clusters__demo__plex=text)
    assert load_lab(root, ["1.40.1"]).plexes["demo"]
    (fault,) = plex_faults(tmp_path, text)
    assert "kubelet has no feature gate NewIn140" in fault


def test_the_gates_in_the_table_are_those_of_the_newest_pinned_version() -> None:
    assert load_pins().versions()[0] in tables()["source"]["gates"]
    common = tables()["gates"]["common"]
    assert {"AllAlpha", "AllBeta", "ContextualLogging", "WatchListClient"} <= common.keys()
    assert set(common.values()) == {None, True, False}


OLDER = "1.30"


@pytest.fixture
def older_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a minor version whose programs lack fields, a flag and gates of the newest."""
    newest = file_of(NEWEST)
    table = json.loads(newest.read_text())
    del table["kubelet"]["singleProcessOOMKill"]
    del table["proxy"]["nftables"]
    del table["flags"]["kube-apiserver"]["request-timeout"]
    del table["gates"]["kubeadm"]["RootlessControlPlane"]
    table["gates"]["kubelet"] = {"OldGate": None}
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / newest.name).write_bytes(newest.read_bytes())
    (folder / f"kubernetes-{OLDER}.json").write_text(json.dumps(table))
    monkeypatch.setattr(kubernetes_types, "FOLDER", folder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "groups: [{nodes: 2, kubelet: {singleProcessOOMKill: true}}]",
            "groups[0].kubelet.singleProcessOOMKill: kubelet of Kubernetes 1.30 has no such field"
            " (remove it, or use a newer `kubernetes`)",
        ),
        (
            "kubeadm: {proxy: {nftables: {syncPeriod: 10s}}}",
            "kubeadm.proxy.nftables: kube-proxy of Kubernetes 1.30 has no such field",
        ),
        (
            "kubeadm: {cluster: {apiServer: {extraArgs: [{name: request-timeout, value: 9s}]}}}",
            "kubeadm.cluster.apiServer.extraArgs[0].name: kube-apiserver of Kubernetes 1.30 has no"
            " flag request-timeout",
        ),
        (
            "kubeadm: {cluster: {featureGates: {RootlessControlPlane: true}}}",
            "kubeadm.cluster.featureGates.RootlessControlPlane: kubeadm of Kubernetes 1.30 has no"
            " feature gate RootlessControlPlane",
        ),
    ],
)
@pytest.mark.usefixtures("older_table")
def test_what_programs_of_an_older_version_lack_is_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    root = lab(tmp_path, clusters__demo__plex=f"kubernetes: 1.30.1\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_lab(root, ["1.36.3", "1.30.1"])
    (problem,) = caught.value.problems
    assert f"{problem.field}: {problem.message} ({problem.hint})".startswith(expected)
    assert problem.line == 2


@pytest.mark.usefixtures("older_table")
def test_what_only_programs_of_an_older_version_have_is_taken_there(tmp_path: Path) -> None:
    text = "groups: [{nodes: 2, kubelet: {featureGates: {OldGate: true}}}]\n"
    root = lab(tmp_path, clusters__demo__plex=f"kubernetes: 1.30.1\n{text}")
    assert load_lab(root, ["1.36.3", "1.30.1"]).plexes["demo"]
