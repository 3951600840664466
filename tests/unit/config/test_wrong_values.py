"""Values that a plex could not work with, or that would publish a password, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.config.faults import Fault, describe
from plexctl.config.kubernetes import OWN_VOLUMES
from plexctl.config.load import load_lab
from plexctl.config.shape import Scalar
from plexctl.config.values.flags import FLAG, GATE
from plexctl.config.values.names import DOMAIN, IMAGE, NAME, PACKAGE, PCI, STORAGE, USER, VOLUME
from plexctl.config.values.networks import ADDRESS, network
from plexctl.config.values.nodes import NUMBERS
from plexctl.config.values.paths import LAB_FILE, SOCKET
from plexctl.config.values.sizes import DISK, MEMORY, SIZE
from plexctl.config.values.sources import APP_SOURCE, BRANCH, SEMVER, VERSION
from plexctl.config.values.urls import HTTPS, PROXMOX_TOKEN, SSH, UPSTREAM, URL
from plexctl.depot.pins import load_pins
from plexctl.errors import ConfigError, PlexError
from plexctl.plan.kubernetes import kubeadm, static_pods
from plexctl.render.errors import error_text

from .labs import VERSIONS, faults, lab, plex_faults


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        (APP_SOURCE, "oci://user:secret@host/x", "must not contain a user name"),
        (APP_SOURCE, "https://u@host/x", "must not contain a user name"),
        (APP_SOURCE, "ssh://git:pw@host/x", "must not contain a password"),
        (APP_SOURCE, 'ssh://git@host/x"y', "contains a character"),
        (UPSTREAM, "https://u:p@h", "must not contain a user name or a password"),
        (UPSTREAM, 'https://x"y', "is not a URL"),
        (UPSTREAM, "https://x'y", "is not a URL"),
        (UPSTREAM, "https://x/\x00", "is not a URL"),
        (UPSTREAM, "http://registry.example.org", "is not encrypted"),
        (UPSTREAM, "http://8.8.8.8:5000", "is not encrypted"),
        (URL, "https://[::1", "is not a URL"),
        (URL, "https://h:99999/x", "there is no port 99999"),
        (HTTPS, "https://[::1", "is not the URL of a server"),
        (HTTPS, "https://10.0.0.7:99999", "there is no port 99999"),
        (HTTPS, "https://10.0.0.7:0", "there is no port 0"),
        (HTTPS, "https://10.0.0.7?x=y", "is not the URL of a server"),
        (HTTPS, "https://10.0.0.7\x00", "is not the URL of a server"),
        (HTTPS, "https://a:b:c", "is not the URL of a server"),
        (SSH, "root@10.0.0.7:99999", "there is no port 99999"),
        (SSH, "root@10.0.0.7:٢٢", "is not an SSH login"),
        (SIZE, "٢GiB", "must be a size"),
        (VERSION, "1.٣6", "must be a Kubernetes version"),
        (DOMAIN, "a" * 70, "is too long for a DNS domain"),
        (DOMAIN, ".".join(["a" * 60] * 5), "is too long for a DNS domain"),
        (LAB_FILE, "a" * 400, "is too long for the path of a file"),
        (LAB_FILE, "a/" * 2000 + "b", "is too long for the path of a file"),
        (NUMBERS, [], "must not be empty"),
        (ADDRESS, "0.0.0.0", "is an address of no host"),
        (ADDRESS, "127.0.0.1", "is a loopback address"),
        (ADDRESS, "169.254.1.1", "is a link-local address"),
        (ADDRESS, "192.0.2.7", "is an address for documentation"),
        (ADDRESS, "224.0.0.1", "is a multicast address"),
        (ADDRESS, "255.255.255.255", "is a reserved address"),
        (ADDRESS, "0.1.2.3", "is an address of no host"),
        (APP_SOURCE, "ssh://git@host:99999/x", "there is no port 99999"),
        (APP_SOURCE, "oci://[::1/x", "is not a URL"),
        (APP_SOURCE, "https://host:/x", "is not a port"),
        (APP_SOURCE, "https://a:b:c/x", "is not a URL"),
        (URL, "https://h:/x", "is not a port"),
        (URL, "https://" + "a" * 300, "is not a URL"),
        (URL, "https://10.0.0.256/x", "is not a URL"),
        (URL, "https://a..b/x", "is not a URL"),
        (SSH, "root@a..b", "is not an SSH login"),
        (MEMORY, "1kB", "is too little memory"),
        (DISK, "1MiB", "is too little disk space"),
        (MEMORY, "999999999999TiB", "is more memory than a host can have"),
        (MEMORY, "٢GiB", "must be a size"),
        (NAME, "a" * 64, "is too long for valid name"),
        (NAME, "a\n", "is not a valid name"),
        (STORAGE, "a/b", "is not the name of a storage pool"),
        (STORAGE, "--x", "is not the name of a storage pool"),
        (SOCKET, "/" + "a" * 107, "is too long for path of a socket"),
        (SOCKET, "/a\x00b", "is not the path of a socket"),
        (IMAGE, "debian/12 x", "is not the name of an image"),
        (PACKAGE, "--force", "is not a package name"),
        (PCI, "non sense", "is not a PCI device"),
        (PROXMOX_TOKEN, "a@b!c\x00", "is not the name of an API token"),
        (FLAG, "--event-ttl", "is not the name of a flag"),
        (FLAG, "; id #", "is not the name of a flag"),
        (FLAG, "a\x00", "is not the name of a flag"),
        (FLAG, "a=b", "is not the name of a flag"),
        (VOLUME, "$(id)", "is not the name of a volume"),
        (GATE, "; id", "is not the name of a feature gate"),
        (LAB_FILE, "a\x1bb", "must be a path inside of the lab"),
        (BRANCH, "--upload-pack=x", "is not a name in a git repository"),
        (BRANCH, "a..b", "is not a name in a git repository"),
        (BRANCH, "a b", "is not a name in a git repository"),
        (BRANCH, "/a", "is not a name in a git repository"),
        (BRANCH, "a.lock", "is not a name in a git repository"),
        (BRANCH, "x@{1}", "is not a name in a git repository"),
        (SEMVER, "nonsense", "is not a range of versions"),
        (SEMVER, "1.2.3.4", "is not a range of versions"),
        (SEMVER, "\u0661.x", "is not a range of versions"),
        (SEMVER, ">= ", "is not a range of versions"),
        (USER, "a:b", "is not a user name"),
        (USER, "a b", "is not a user name"),
        (network(16, 28), "8.8.8.0/24", "has addresses of machines on the Internet"),
        (network(16, 28), "192.0.2.0/24", "contains an address for documentation"),
        (network(8, 28), "192.0.0.0/8", "contains an address for documentation"),
        (network(16, 28), "169.254.1.0/24", "contains a link-local address"),
        (network(16, 28), "224.1.0.0/24", "contains a multicast address"),
        (network(16, 28), "255.0.0.0/16", "contains a reserved address"),
    ],
)
def test_a_wrong_value_is_refused_with_a_hint(
    shape: Scalar[object], value: object, message: str
) -> None:
    with pytest.raises(Fault, match=message) as caught:
        shape.parse(value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (APP_SOURCE, "ssh://git@host:2222/x.git"),
        (APP_SOURCE, "oci://host:5000/x"),
        (UPSTREAM, "https://registry-1.docker.io"),
        (UPSTREAM, "http://10.0.0.1:5000"),
        (URL, "https://[fd00::1]:8443/x?y=z#a"),
        (HTTPS, "https://[fd00::1]:8443"),
        (HTTPS, "https://pve.example.org/"),
        (SSH, "root@10.0.0.7:2222"),
        (DOMAIN, f"{'a' * 63}.{'b' * 63}.local"),
        (ADDRESS, "10.0.0.7"),
        (network(16, 28, public=True), "8.8.8.0/24"),
        (network(16, 28), "100.64.0.0/16"),
        (APP_SOURCE, "https://[fd00::1]:8443/x"),
        (URL, "https://[fd00::1]/x"),
        (MEMORY, "64MiB"),
        (STORAGE, "local-lvm"),
        (PCI, "0000:01:00.0"),
        (PCI, "01:1f.7"),
        (PCI, "gpu_1"),
        (PROXMOX_TOKEN, "plexctl@pve!lab"),
        (FLAG, "event-ttl"),
        (FLAG, "v"),
        (VOLUME, "my-volume"),
        (BRANCH, "feature/x-1.2"),
        (SEMVER, "1.x"),
        (SEMVER, "*"),
        (SEMVER, ">=1.2.0 <2.0.0"),
        (SEMVER, ">=1.2.0, <2.0.0 || ~3.1"),
        (SEMVER, "1.2 - 1.4"),
        (SEMVER, "^2.0.0-beta.1"),
        (USER, "robot$lab+ci"),
    ],
)
def test_a_right_value_is_taken(shape: Scalar[object], value: str) -> None:
    shape.parse(value)


def test_a_host_listed_twice_is_refused(tmp_path: Path) -> None:
    (fault,) = plex_faults(tmp_path, "hosts: [local, local]\n")
    assert fault == "1 hosts[1]: lists local twice (remove one of them)"


def test_taints_with_one_key_and_effect_are_refused(tmp_path: Path) -> None:
    taints = "['app=a:PreferNoSchedule', 'app=b:PreferNoSchedule', 'app=b:NoExecute']"
    (fault,) = plex_faults(tmp_path, f"groups: [{{nodes: 2, taints: {taints}}}]\n")
    assert fault.startswith("1 groups[0].taints[1]: a second taint has the key app and the effect")


def test_a_group_without_nodes_is_refused(tmp_path: Path) -> None:
    (fault,) = plex_faults(tmp_path, "groups: [{nodes: []}]\n")
    assert fault.startswith("1 groups[0].nodes: must not be empty (name the nodes")


def test_terminal_escapes_of_a_file_are_shown_and_never_sent(tmp_path: Path) -> None:
    text = 'domain: "\\e]0;owned\\a\\e[31m"\n"\\e[2J": 1\nhost: "\\u202e"\n'
    found = faults(lab(tmp_path, clusters__demo__plex=text))
    assert len(found) >= 2
    shown = error_text(
        PlexError("there is no \x1b[31mx\x9b", details=["a\x07\tb"], hint="use \u202e\udcff\r")
    )
    assert shown == ("error: there is no \\x1b[31mx\\x9b\n  a\\x07\tb\nhint: use \\u202e\\udcff\\r")
    assert describe("\x1b[31m") == "'\\x1b[31m'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch: 017\n", "1 epoch: YAML 1.1 reads 017 as the number 15 (write 15, or "),
        ("gitops: {interval: 1:2}\n", "1 gitops.interval: YAML 1.1 reads 1:2 as the number 62"),
        ("workers: 0x3\n", "1 workers: YAML 1.1 reads 0x3 as the number 3"),
        ("workers: 1_0\n", "1 workers: YAML 1.1 reads 1_0 as the number 10"),
        ("kubernetes: 1:3.6\n", "1 kubernetes: YAML 1.1 reads 1:3.6 as the number 63.6"),
        ("groups: [{nodes: 010}]\n", "1 groups[0].nodes: YAML 1.1 reads 010 as the number 8"),
        ("groups: [{nodes: 2, kubelet: {maxPods: 0b11}}]\n", "1 groups[0].kubelet.maxPods: "),
    ],
)
def test_numbers_that_people_read_otherwise_are_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    found = plex_faults(tmp_path, text)
    assert [fault for fault in found if fault.startswith(expected)], found


def test_numbers_that_everybody_reads_alike_are_taken(tmp_path: Path) -> None:
    text = 'workers: 0\nepoch: +7\nkubernetes: 1.36\ngroups: [{nodes: "1", labels: {a: "017"}}]\n'
    assert load_lab(lab(tmp_path, clusters__demo__plex=text), VERSIONS).plexes["demo"].epoch == 7


BRIDGE_HOST = "hosts: {local: {bridge: br0}}\n"


@pytest.mark.parametrize(
    ("router", "expected"),
    [
        ("10.9.0.1", "10.9.0.1 is not in the network of the nodes, 10.0.8.0/24"),
        ("10.0.8.0", "10.0.8.0 is the network address or the broadcast address of 10.0.8.0/24"),
        ("10.0.8.255", "10.0.8.255 is the network address or the broadcast address of 10.0.8.0/24"),
        ("10.0.8.11", "10.0.8.11 is the address of node 1 of the plex"),
        ("10.0.8.13", "10.0.8.13 is the address of node 3 of the plex"),
        ("0.0.0.0", "0.0.0.0 is an address of no host"),
    ],
)
def test_a_router_that_no_node_reaches_is_refused(
    tmp_path: Path, router: str, expected: str
) -> None:
    text = f"networks: {{link: bridge, nodes: 10.0.8.0/24, router: {router}}}\n"
    found = faults(lab(tmp_path, clusters__hosts=BRIDGE_HOST, clusters__demo__plex=text))
    assert [fault.partition(": ")[2][: len(expected)] for fault in found] == [expected]


def test_a_router_beside_the_nodes_is_taken(tmp_path: Path) -> None:
    text = "networks: {link: bridge, nodes: 8.8.8.0/24, router: 8.8.8.14}\n"
    root = lab(tmp_path, clusters__hosts=BRIDGE_HOST, clusters__demo__plex=text)
    assert str(load_lab(root, VERSIONS).plexes["demo"].networks.router) == "8.8.8.14"


def test_a_network_of_others_is_refused_where_plexctl_creates_it(tmp_path: Path) -> None:
    (fault,) = plex_faults(tmp_path, "networks: {nodes: 8.8.8.0/24}\n")
    assert fault.startswith("1 networks.nodes: 8.8.8.0/24 has addresses of machines on the Inter")
    (fault,) = plex_faults(tmp_path, "networks: {services: 9.9.0.0/20}\n")
    assert fault.startswith("1 networks.services: 9.9.0.0/20 has addresses of machines on the Int")


def test_hosts_with_one_address_are_refused(tmp_path: Path) -> None:
    facts = "{cgroup: 2, cpus: 1, memory: 1GiB}"
    far = f"{{url: 'https://10.0.0.7:8443', certificate: {'ab' * 32}, facts: {facts}}}"
    text = (
        f"hosts:\n  local: {{address: 10.0.0.7}}\n  far: {far}\n"
        f"  other: {{socket: /x, address: 10.0.0.8}}\n  more: {{socket: /y, address: 10.0.0.8}}\n"
    )
    assert faults(lab(tmp_path, clusters__hosts=text)) == [
        "clusters/hosts.yaml:2 hosts.local.address: 10.0.0.7 is the address of host far "
        "(write the address at which other hosts reach this one)",
        "clusters/hosts.yaml:5 hosts.more.address: 10.0.0.8 is the address of host other "
        "(write the address at which other hosts reach this one)",
    ]


def test_a_root_file_system_that_nothing_verifies_is_not_fetched_over_http(tmp_path: Path) -> None:
    """Packages have signatures, and a disk image has its checksum: those may come over http."""
    images = "source: images, image: a/1, release: a"
    cloud = f"source: cloud, form: vm, release: a, checksum: 'sha512:{'a' * 128}'"
    text = (
        f"one: {{{images}, server: 'http://images.example.org'}}\n"
        f"two: {{{images}, server: 'https://images.example.org'}}\n"
        f"three: {{{cloud}, url: 'http://example.org/a.qcow2'}}\n"
        "four: {release: a, mirror: 'http://deb.example.org/debian'}\n"
    )
    assert faults(lab(tmp_path, types__bases=text)) == [
        "types/bases.yaml:1 one.server: is not encrypted, and nothing else verifies the root file"
        " system (use https://)"
    ]


def test_a_pci_device_of_incus_is_an_address(tmp_path: Path) -> None:
    text = "hosts:\n  local:\n    pci: {gpu: nonsense}\n"
    assert faults(lab(tmp_path, clusters__hosts=text)) == [
        "clusters/hosts.yaml:3 hosts.local.pci.gpu: 'nonsense' is not the address of a PCI device "
        "(write it as `lspci -D` lists it, for example 0000:01:00.0)"
    ]


def test_roles_layers_and_components_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    root = lab(
        tmp_path,
        types__one="role: kubenod\nlayers: [{name: kube}]\n",
        types__two="role: kubenode\nlayers:\n- {name: kub, artifacts: [containrd]}\n",
        types__three="role: host\nlayers: [{name: pool}]\n",
    )
    with pytest.raises(ConfigError) as caught:
        load_lab(root, VERSIONS, load_pins().components())
    assert [(p.file.name, p.line, p.field, p.message, p.hint) for p in caught.value.problems] == [
        ("one.yaml", 1, "role", "there is no role kubenod", "did you mean `kubenode`?"),
        (
            *("two.yaml", 3, "layers[0].artifacts[0]", "the depot has no component containrd"),
            "did you mean `containerd`?",
        ),
        (
            *("two.yaml", 3, "layers[0].name"),
            "role kubenode has no layer kub: there is no file tasks/kub.yml",
            "did you mean `kube`?",
        ),
    ]


def test_extra_volumes_have_names_and_places_of_their_own(tmp_path: Path) -> None:
    volumes = (
        "[{name: k8s-certs, hostPath: /a, mountPath: /a}, {name: x, hostPath: /a, mountPath: /b}, "
        "{name: x, hostPath: /a, mountPath: /b, pathType: Nonsense}]"
    )
    text = f"kubeadm: {{cluster: {{apiServer: {{extraVolumes: {volumes}}}}}}}\n"
    fault = plex_faults(tmp_path, text)[-1]
    assert "extraVolumes[2].pathType: must be DirectoryOrCreate or Directory or File" in fault
    found = plex_faults(tmp_path, text.replace(", pathType: Nonsense", ""))
    at = "1 kubeadm.cluster.apiServer.extraVolumes"
    assert found == [
        f"{at}[0].name: another volume of the pod has k8s-certs already (choose another name)",
        f"{at}[2].mountPath: another volume of the pod has /b already (choose another path)",
        f"{at}[2].name: another volume of the pod has x already (choose another name)",
    ]


def test_no_extra_volume_can_have_the_name_of_one_of_plexctl() -> None:
    own = {name for name, _ in static_pods.CERTIFICATE_FOLDERS} | {"kubeconfig"}
    for component in (kubeadm.API_SERVER, kubeadm.CONTROLLER_MANAGER, kubeadm.SCHEDULER):
        own |= {volume[0] for volume in component.volumes}
    assert own <= OWN_VOLUMES


def test_the_tag_of_an_oci_artifact_is_checked(tmp_path: Path) -> None:
    (fault,) = plex_faults(tmp_path, "gitops: {source: 'oci://h/x', tag: feature/x}\n")
    assert fault.startswith("1 gitops.tag: 'feature/x' is not the tag of an OCI artifact")
