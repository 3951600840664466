"""All faults of all files of a lab are reported at once, each with its place and a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.config.load import load_lab
from plexctl.config.networks import default_networks
from plexctl.errors import ConfigError, ExitCode

from .labs import VERSIONS, faults, lab, plex_faults


def test_ten_faults_of_four_files_are_reported_together(tmp_path: Path) -> None:
    root = lab(
        tmp_path,
        clusters__hosts="""\
            hosts:
              local: {kind: lxd}
              other: {parallel: many}
            """,
        types__edge="""\
            role: kubenode
            bse: debian12
            base: debian21
            layers: [{name: runtime}]
            """,
        clusters__a__plex="""\
            networks: {nodes: 10.9.0.0/24}
            workers: "3"
            groups:
              - nodes: 1-9
                labls: {disk: fast}
              - nodes: 2
                host: locl
                taints: ["disk=fast:NoWay"]
            """,
        clusters__b__plex="""\
            kubernetes: "1.63"
            # the network of plex a
            networks:
              nodes: 10.9.0.0/25
            """,
    )
    assert faults(root) == [
        "clusters/a/plex.yaml:2 workers: must be a whole number, not '3' (write 3 without quotes)",
        "clusters/a/plex.yaml:5 groups[0].labls: unknown field (did you mean `labels`?)",
        "clusters/a/plex.yaml:7 groups[1].host: there is no host locl (did you mean `local`?)",
        "clusters/a/plex.yaml:8 groups[1].taints[0]: 'NoWay' is not a taint effect "
        "(use one of NoSchedule, PreferNoSchedule, NoExecute)",
        "clusters/b/plex.yaml:1 kubernetes: plexctl does not support Kubernetes 1.63 "
        "(use 1.36.10, 1.36.3, 1.35.4, 1.9.9, or 1.36 for the newest patch release of 1.36)",
        "clusters/b/plex.yaml:4 networks.nodes: 10.9.0.0/25 overlaps with 10.9.0.0/24, "
        "the nodes of plex a (use 10.64.1.0/24, which is free)",
        "clusters/hosts.yaml:2 hosts.local.kind: must be incus or proxmox, not 'lxd'",
        "clusters/hosts.yaml:3 hosts.other.parallel: must be a whole number, not 'many'",
        "types/edge.yaml:2 bse: unknown field (did you mean `base`?)",
        "types/edge.yaml:3 base: there is no base debian21 (did you mean `debian12`?)",
    ]


def test_a_config_error_is_a_usage_error_for_the_shell(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_lab(lab(tmp_path, clusters__demo__plex="x: 1\n"), VERSIONS)
    assert caught.value.exit_code is ExitCode.USAGE
    assert str(caught.value) == "the configuration has 1 problem"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("workers: [2\n", ["2 : not valid YAML: while parsing a flow sequence"]),
        ("a: 1\n--- {}\n", ["2 : not valid YAML: expected a single document"]),
        ("domain: !py x\n", ["1 domain: not valid YAML: could not determine a constructor"]),
        ("domain: 2026-13-41\n", ["1 domain: not valid YAML: month must be in 1..12"]),
        ("a\nb: \x07\n", ["2 : not valid YAML"]),
        ("- workers\n", ["1 : must be a mapping, not a list"]),
        ("groups: &g\n  - *g\n", ["1 groups[0]: contains itself through an anchor"]),
        ("on: 1\n", ["1 true: a field name must be text, not true (quote names such as on"]),
        ("workers: 1\nepoch: 2\nworkers: 3\n", ["3 workers: is given twice (remove one of them)"]),
        (
            "groups:\n  - {nodes: 1-3, 7}\n",
            ["2 groups[0].7: a field name must be text, not 7 (quote names such as on"],
        ),
    ],
)
def test_a_file_that_is_not_yaml_is_reported_with_its_line(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    found = plex_faults(tmp_path, text)
    assert [fault[: len(start)] for fault, start in zip(found, expected, strict=False)] == expected


def test_bytes_that_are_not_text_are_reported_with_their_line(tmp_path: Path) -> None:
    root = lab(tmp_path, clusters__demo__plex="")
    (root / "clusters/demo/plex.yaml").write_bytes(b"workers: 2\n# caf\xe9\n")
    assert faults(root) == ["clusters/demo/plex.yaml:2 : the file is not UTF-8 text"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "masters: 2",
            "1 masters: must be 1, 3 or 5, not 2 (etcd needs more than half of its members: an "
            "even number survives no more losses)",
        ),
        (
            "workers: 1\nmasters: 3\nengine: tofu",
            "2 masters: cannot be 3 with `engine: tofu`, which cannot replace one of several",
        ),
        ("workers: -1", "1 workers: must be between 0 and 4095, not -1"),
        ("workers: true", "1 workers: must be a whole number, not true"),
        ("epoch: 1.5", "1 epoch: must be a whole number, not 1.5"),
        ("domain: Cluster.local", "1 domain: 'Cluster.local' is not a DNS domain"),
        ("kubernetes: 1.40", "1 kubernetes: plexctl does not support Kubernetes 1.40"),
        (
            "kubernetes: v1.36.3",
            "1 kubernetes: must be a Kubernetes version, not 'v1.36.3' (remove the v)",
        ),
        ("type: cube", "1 type: there is no type cube (did you mean `kube`?)"),
        ("type: adm", "1 type: node 1 is a master, but nodes of type adm do not run"),
        ("groups: [{labels: {}}]", "1 groups[0].nodes: is required"),
        ("groups: [{nodes: 0}]", "1 groups[0].nodes: there is no node 0 (node numbers start at 1"),
        (
            "groups: [{nodes: 3-2}]",
            "1 groups[0].nodes: 3-2 is not a range: it ends before its start (did you mean 2-3?)",
        ),
        ("groups: [{nodes: 4}]", "1 groups[0].nodes: there is no node 4: the plex has 3"),
        ("groups: [{nodes: 1, type: adm}]", "1 groups[0].type: node 1 is a master"),
        ("groups: {nodes: 1}", "1 groups: must be a list, not a mapping"),
        (
            "groups: [{nodes: 2, size: {memory: 2Gi}}]",
            "1 groups[0].size.memory: must be a size with a unit, not '2Gi' (did you mean 2GiB?)",
        ),
        (
            "groups: [{nodes: 2, size: {memory: 2}}]",
            "1 groups[0].size.memory: must be a size with a unit, not 2",
        ),
        (
            "groups: [{nodes: 2, labels: {fast: true}}]",
            "1 groups[0].labels.fast: must be text, not true (put the value in quotes)",
        ),
        (
            "groups: [{nodes: 2, labels: {node-role.kubernetes.io/x: y}}]",
            "1 groups[0].labels.node-role.kubernetes.io/x: a kubelet may not set the label",
        ),
        (
            "groups: [{nodes: 2, taints: [a=b]}]",
            "1 groups[0].taints[0]: 'a=b' is not a valid taint",
        ),
        (
            "groups: [{nodes: 2, kubelet: {maxPod: 9}}]",
            "1 groups[0].kubelet.maxPod: unknown field (did you mean `maxPods`?)",
        ),
        (
            "groups: [{nodes: 2, kubelet: {clusterDNS: [10.0.0.1]}}]",
            "1 groups[0].kubelet.clusterDNS: cannot be set: plexctl sets it "
            "(use `networks.services`)",
        ),
        (
            "groups: [{nodes: 2, kubelet: {logging: {flushFrequency: 2026-01-01}}}]",
            "1 groups[0].kubelet: contains a value that JSON cannot represent",
        ),
        (
            "kubeadm: {cluster: {networking: {podSubnet: 10.0.0.0/8}}}",
            "1 kubeadm.cluster.networking: cannot be set: plexctl sets it (use `networks.pods`",
        ),
        (
            "kubeadm: {cluster: {apiServer: {certSANs: [x]}}}",
            "1 kubeadm.cluster.apiServer.certSANs: cannot be set: plexctl sets it",
        ),
        (
            "kubeadm: {cluster: {apiServer: {extraArgs: {v: 4}}}}",
            "1 kubeadm.cluster.apiServer.extraArgs: must be a list, not a mapping",
        ),
        (
            "kubeadm: {cluster: {scheduler: {extraArgs: [{name: v, value: 4}]}}}",
            "1 kubeadm.cluster.scheduler.extraArgs[0].value: must be text, not 4",
        ),
        (
            "kubeadm: {cluster: {scheduler: {extraEnvs: [{name: GO GC, value: '4'}]}}}",
            "1 kubeadm.cluster.scheduler.extraEnvs[0].name: 'GO GC' is not the name of an "
            "environment variable",
        ),
        (
            "kubeadm: {cluster: {scheduler: {extraEnvs: [{name: GOGC, value: 400}]}}}",
            "1 kubeadm.cluster.scheduler.extraEnvs[0].value: must be text, not 400",
        ),
        ("kubeadm: {proxy: {mode: ipvs}}", "1 kubeadm.proxy.mode: cannot be set: plexctl sets it"),
        ("networks: {pods: 10.1.0.0/24}", "1 networks.pods: must be a /8 to /23, not a /24"),
        (
            "networks: {nodes: 10.1.1.7/24}",
            "1 networks.nodes: '10.1.1.7/24' is an address in a network, not a network "
            "(did you mean 10.1.1.0/24?)",
        ),
        (
            "networks: {nodes: 127.1.0.0/16}",
            "1 networks.nodes: 127.1.0.0/16 contains a loopback address",
        ),
        (
            "networks: {nodes: 10.1.0.0/24, pods: 10.0.0.0/12}",
            "1 networks.pods: 10.0.0.0/12 overlaps with 10.1.0.0/24, the nodes of plex demo",
        ),
        (
            "{workers: 5, networks: {nodes: 10.1.0.0/28}}",
            "1 workers: 6 nodes do not fit into the networks of the plex: room for 4 (6 nodes need",
        ),
    ],
)
def test_a_fault_has_a_hint_how_to_correct_it(tmp_path: Path, text: str, expected: str) -> None:
    found = plex_faults(tmp_path, text + "\n")
    assert [fault[: len(expected)] for fault in found] == [expected]


def test_a_version_keeps_its_last_zero(tmp_path: Path) -> None:
    """1.40 is a number for YAML, and the same as 1.4."""
    root = lab(tmp_path, clusters__demo__plex="kubernetes: 1.40\n")
    assert load_lab(root, ["1.40.2", "1.4.9"]).plexes["demo"].kubernetes == "1.40.2"


def test_a_bad_network_is_not_reported_as_an_overlap_too(tmp_path: Path) -> None:
    """The default in place of a faulty value causes no further problems."""
    default = default_networks("demo").nodes
    root = lab(
        tmp_path,
        clusters__demo__plex="networks: {nodes: 10.1.0.0}\nworkers: 4000\n",
        clusters__other__plex=f"networks: {{nodes: {default}}}\n",
    )
    assert [fault.split(" (")[0] for fault in faults(root)] == [
        "clusters/demo/plex.yaml:1 networks.nodes: must be a network with its prefix, "
        "not '10.1.0.0'"
    ]


@pytest.mark.parametrize("name", ["Demo", "demo1", "1demo", "de_mo", "-demo", "elevenchars"])
def test_names_that_are_not_valid_for_a_plex(tmp_path: Path, name: str) -> None:
    assert faults(lab(tmp_path, **{f"clusters__{name}__plex": ""})) == [
        f"clusters/{name}/plex.yaml:1 : '{name}' cannot be the name of a plex "
        "(use 1 to 10 characters of a-z, 0-9 and -; the first and the last must be letters)"
    ]


def test_hosts_are_required_and_each_server_is_there_once(tmp_path: Path) -> None:
    assert faults(lab(tmp_path, clusters__hosts="")) == ["clusters/hosts.yaml:1 hosts: is required"]
    assert faults(lab(tmp_path, clusters__hosts="hosts:\n")) == [
        "clusters/hosts.yaml:1 hosts: must not be empty"
    ]
    assert faults(lab(tmp_path, clusters__hosts="hosts: {a: {}, b: {pool: fast}}\n")) == [
        "clusters/hosts.yaml:1 hosts.b.socket: is the same server as host a "
        "(remove one of the two; a server has one entry for all plexes)"
    ]
    (tmp_path / "clusters/hosts.yaml").unlink()
    assert faults(tmp_path) == [
        "clusters/hosts.yaml:1 : the file does not exist (write it with `plexctl init`)"
    ]


def test_types_and_bases_are_checked(tmp_path: Path) -> None:
    root = lab(
        tmp_path,
        types__bases="""\
            debian12-images: {release: bookworm, source: images}
            debian14: {release: forky, form: vm}
            """,
        types__x="""\
            kubernetes: true
            layers:
              - {name: base}
              - {name: two}
              - {name: two}
            """,
        types__y="{role: kubenode, layers: []}\n",
        types__Big="{role: kubenode, layers: [{name: kube}]}\n",
    )
    assert faults(root) == [
        "types/Big.yaml:1 : 'Big' is not a valid name "
        "(use at most 63 of a-z, 0-9 and -; the first and the last must be letters or digits)",
        "types/bases.yaml:1 debian12-images.image: is required with `source: images` "
        "(for example `image: debian/12`)",
        "types/bases.yaml:2 debian14.source: cannot be debootstrap with `form: vm`: it creates no "
        "bootable disk (use `cloud` or `images`)",
        "types/x.yaml:1 privileged: must be true: containers that run Kubernetes have to be "
        "privileged (write `privileged: true`)",
        "types/x.yaml:1 role: is required",
        "types/x.yaml:3 layers[0].name: 'base' is used by another layer "
        "(every type has a layer with this name)",
        "types/x.yaml:5 layers[2].name: 'two' is used by another layer (choose another name)",
        "types/y.yaml:1 layers: must not be empty",
    ]
