"""What the nodes of a plex with several masters boot with, beside those of one."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
import yaml

from plexctl.model.nodes import masters, nodes
from plexctl.model.plex import ApiForward, Plex, Role
from plexctl.plan.inputs import Birth, EtcdSnapshot, Inputs, Join
from plexctl.plan.kubernetes import kubeadm
from plexctl.plan.kubernetes.quiet import proxy_patch
from plexctl.plan.kubernetes.static_pods import static_pods
from plexctl.plan.plan import joining, plan_plex
from plexctl.plan.resources.types import Forward, Instance, Network, resource_hash

BIRTH = Birth("0b7a", "2026-11-30T09:00:00Z")


@pytest.fixture
def several(demo: Plex) -> Plex:
    return replace(demo, masters=3)


def files(instance: Instance) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(instance.boot)) as tar:
        read = {one.name: tar.extractfile(one) for one in tar if one.isfile()}
        return {name: file.read().decode() for name, file in read.items() if file}


def command(plex: Plex, images: dict[str, str], pod: str, number: int = 1) -> list[str]:
    own = masters(plex)[number - 1]
    found: list[str] = static_pods(plex, images, own)[pod]["spec"]["containers"][0]["command"]
    return found


def test_the_first_nodes_are_masters(several: Plex) -> None:
    roles = [node.role for node in nodes(several)]

    assert roles == [Role.MASTER] * 3 + [Role.WORKER] * 2
    assert [bool(node.taints) for node in nodes(several)] == [True] * 3 + [False] * 2


def test_every_certificate_of_an_api_server_has_the_endpoint(several: Plex, inputs: Inputs) -> None:
    from cryptography import x509

    for plex in (several, replace(several, masters=1)):
        plan = plan_plex(plex, replace(inputs, birth=BIRTH))
        for instance in plan.instances[: plex.masters]:
            pem = files(instance)["etc/kubernetes/pki/apiserver.crt"].encode()
            names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            )
            addresses = set(map(str, names.value.get_values_for_type(x509.IPAddress)))
            own = next(n for n in plan.nodes if n.name == instance.name)
            assert {str(plex.networks.endpoint), str(own.address.ip)} <= addresses


def test_people_and_workers_call_the_endpoint_and_masters_their_own_server(
    several: Plex, inputs: Inputs
) -> None:
    plan = plan_plex(several, replace(inputs, birth=BIRTH))

    def server(instance: Instance, name: str) -> str:
        found: str = yaml.safe_load(files(instance)[f"etc/kubernetes/{name}"])["clusters"][0][
            "cluster"
        ]["server"]
        return found

    second, worker = plan.instances[1], plan.instances[3]
    for name in ("kubelet.conf", "controller-manager.conf", "scheduler.conf"):
        assert server(second, name) == "https://10.64.3.12:6443"
    assert server(second, "admin.conf") == "https://10.64.3.10:6443"
    assert server(worker, "kubelet.conf") == "https://10.64.3.10:6443"


def test_an_only_master_has_the_endpoint_and_several_share_it(
    several: Plex, inputs: Inputs
) -> None:
    line = "address replace 10.64.3.10/32 dev eth0"

    alone = plan_plex(replace(several, masters=1), inputs).instances
    shared = plan_plex(several, replace(inputs, birth=BIRTH)).instances

    assert line in files(alone[0])["etc/plexctl/network.batch"]
    assert line not in files(alone[1])["etc/plexctl/network.batch"]
    assert "etc/keepalived/keepalived.conf" not in files(alone[0])
    for instance in shared[:3]:
        assert line not in files(instance)["etc/plexctl/network.batch"]
    config = files(shared[1])["etc/keepalived/keepalived.conf"]
    assert "10.64.3.10/32 dev eth0" in config
    assert config.partition("unicast_peer {")[2].split()[:2] == ["10.64.3.11", "10.64.3.13"]
    assert "etc/keepalived/keepalived.conf" not in files(shared[3])


def test_each_member_of_etcd_knows_all(several: Plex, images: dict[str, str]) -> None:
    words = command(several, images, "etcd", 2)

    peers = ",".join(f"demo{n}=https://10.64.3.1{n}:2380" for n in (1, 2, 3))
    assert f"--initial-cluster={peers}" in words
    assert "--name=demo2" in words
    assert "--listen-peer-urls=https://10.64.3.12:2380" in words
    assert "--election-timeout=100" not in words


def test_several_managers_elect_a_leader_and_no_api_server_registers_itself(
    several: Plex, images: dict[str, str]
) -> None:
    for pod in ("kube-controller-manager", "kube-scheduler"):
        assert "--leader-elect=true" in command(several, images, pod)
        assert "--leader-elect=false" not in command(several, images, pod)
    assert "--endpoint-reconciler-type=none" in command(several, images, "kube-apiserver", 3)
    configuration = kubeadm.cluster_configuration(several)
    assert configuration["controlPlaneEndpoint"] == "10.64.3.10:6443"


def test_masters_of_a_new_cluster_are_born_from_the_same_file(
    several: Plex, inputs: Inputs
) -> None:
    plan = plan_plex(several, replace(inputs, birth=BIRTH))
    own = [files(one) for one in plan.instances[:3]]

    assert len({one["etc/plexctl/genesis.json"] for one in own}) == 1
    assert {one["etc/plexctl/birth"] for one in own} == {"run=0b7a\ntime=2026-11-30T09:00:00Z\n"}
    genesis = json.loads(own[0]["etc/plexctl/genesis.json"])
    assert genesis["cluster"]["token"] == "demo-0b7a"
    assert [one["name"] for one in genesis["cluster"]["members"]] == ["demo1", "demo2", "demo3"]
    objects = {one["key"]: one["value"] for one in genesis["objects"]}
    endpoints = objects["/registry/services/endpoints/default/kubernetes"]
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "10.64.3.10"}]
    deployment = objects["/registry/deployments/kube-system/coredns"]
    affinity = deployment["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (wanted,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert wanted["preference"]["matchExpressions"][0]["values"] == ["demo1", "demo2", "demo3"]


def test_another_birth_replaces_nothing(several: Plex, inputs: Inputs) -> None:
    first, second = (
        plan_plex(several, replace(inputs, birth=one)) for one in (BIRTH, Birth("1", "2"))
    )

    assert first.instances[0].boot != second.instances[0].boot
    assert [resource_hash(r) for r in first.resources] == [
        resource_hash(r) for r in second.resources
    ]


def test_a_master_that_joins_has_the_same_hash_and_no_birth(several: Plex, inputs: Inputs) -> None:
    plan = plan_plex(several, replace(inputs, birth=BIRTH))

    joined = joining(plan, "demo2", inputs, Join(masters(several)[:2]))

    own = files(joined)
    assert resource_hash(joined) == resource_hash(plan.instances[1])
    assert {"etc/plexctl/join", "etc/plexctl/control-plane.json"} <= set(own)
    assert "etc/plexctl/genesis.json" not in own
    etcd = own["etc/kubernetes/manifests/etcd.yaml"]
    assert "--initial-cluster-state=existing" in etcd
    cluster = "demo1=https://10.64.3.11:2380,demo2=https://10.64.3.12:2380"
    assert f"--initial-cluster={cluster}\n" in etcd


def test_a_master_that_stays_alone_leaves_the_endpoint_to_others_at_first(
    demo: Plex, several: Plex, inputs: Inputs
) -> None:
    joined = joining(plan_plex(demo, inputs), "demo1", inputs, Join(masters(several), hold=True))

    assert "10.64.3.10/32" not in files(joined)["etc/plexctl/network.batch"]
    assert files(joined)["etc/plexctl/join"] == "hold\n"


def test_clients_of_an_address_that_moves_test_quiet_connections(
    several: Plex, inputs: Inputs
) -> None:
    wanted = [
        {"name": "HTTP2_READ_IDLE_TIMEOUT_SECONDS", "value": "3"},
        {"name": "HTTP2_PING_TIMEOUT_SECONDS", "value": "2"},
    ]
    own = files(plan_plex(several, replace(inputs, birth=BIRTH)).instances[0])
    found: dict[str, list[Any]] = {"kube-proxy": [], "coredns": []}
    for one in json.loads(own["etc/plexctl/genesis.json"])["objects"]:
        spec = one["value"].get("data", one["value"]).get("spec", {})
        spec = spec.get("template", {}).get("spec", spec)
        for container in spec.get("containers", ()):
            found[container["name"]].append(container["env"][-2:])

    # A DaemonSet, its revision and a pod of each node; a Deployment, its ReplicaSet and its pod.
    assert found == {"kube-proxy": [wanted] * 7, "coredns": [wanted] * 3}
    assert json.loads(own["etc/plexctl/control-plane.json"])["quiet"] == wanted
    assert proxy_patch(several)["spec"]["template"]["spec"]["containers"][0]["env"] == wanted
    patch = json.loads(own["etc/plexctl/patches/corednsdeployment.json"])
    assert patch["spec"]["template"]["spec"]["containers"][0]["env"][-2:] == wanted


def test_clients_of_a_master_that_is_the_only_one_have_the_usual_settings(
    demo: Plex, inputs: Inputs
) -> None:
    own = files(plan_plex(demo, inputs).instances[0])

    assert "HTTP2_" not in own["etc/plexctl/genesis.json"]
    assert "HTTP2_" not in own["etc/plexctl/patches/corednsdeployment.json"]


SNAPSHOT = b"SQLite? No: bbolt."


def test_masters_take_over_a_snapshot_instead_of_genesis(several: Plex, inputs: Inputs) -> None:
    born = plan_plex(several, replace(inputs, birth=BIRTH))
    taken = EtcdSnapshot(SNAPSHOT, nodes=("demo1", "demo4"))
    plan = plan_plex(several, replace(inputs, birth=BIRTH, etcd=taken))

    own = [files(one) for one in plan.instances]
    first = json.loads(own[0]["etc/plexctl/genesis.json"])
    assert "objects" not in first
    assert first["cluster"]["token"] == "demo-0b7a"
    assert len(first["cluster"]["members"]) == 3
    assert first["snapshot"]["file"] == "/etc/plexctl/etcd.snapshot"
    assert not first["snapshot"]["continues"]
    assert "/registry/minions/" in first["snapshot"]["drop"]
    assert first["snapshot"]["keep"] == ["/registry/minions/demo1", "/registry/minions/demo4"]
    for one in own[:3]:
        assert one["etc/plexctl/etcd.snapshot"] == SNAPSHOT.decode()
        assert one["etc/plexctl/genesis.json"] == own[0]["etc/plexctl/genesis.json"]
        assert one["etc/plexctl/birth"] == "run=0b7a\ntime=2026-11-30T09:00:00Z\n"
    # One of them runs kubeadm's phases.
    assert [("etc/plexctl/restored" in one, "etc/plexctl/join" in one) for one in own[:3]] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert "etc/plexctl/etcd.snapshot" not in own[3]
    assert [resource_hash(r) for r in plan.resources] == [resource_hash(r) for r in born.resources]


def test_a_cluster_that_continues_keeps_all_its_keys(demo: Plex, inputs: Inputs) -> None:
    taken = EtcdSnapshot(SNAPSHOT, continues=True)
    for plex in (demo, replace(demo, genesis=False)):
        plan = plan_plex(plex, replace(inputs, etcd=taken))

        own = files(plan.instances[0])
        snapshot = json.loads(own["etc/plexctl/genesis.json"])["snapshot"]
        assert snapshot["continues"]
        assert not snapshot["drop"]
        assert "etc/plexctl/join" in own
        assert "etc/plexctl/restored" not in own


def test_only_root_can_read_a_snapshot(demo: Plex, inputs: Inputs) -> None:
    plan = plan_plex(demo, replace(inputs, etcd=EtcdSnapshot(SNAPSHOT)))

    with tarfile.open(fileobj=io.BytesIO(plan.instances[0].boot)) as tar:
        assert tar.getmember("etc/plexctl/etcd.snapshot").mode == 0o600
    assert SNAPSHOT.decode() not in repr(EtcdSnapshot(SNAPSHOT))


def test_workers_do_not_differ_by_the_number_of_masters(several: Plex, inputs: Inputs) -> None:
    more = plan_plex(replace(several, masters=5), replace(inputs, birth=BIRTH))
    three = plan_plex(replace(several, workers=4), replace(inputs, birth=BIRTH))

    assert files(more.instances[6]) == files(three.instances[6])


FORWARDED = ApiForward(IPv4Address("192.0.2.7"), 20000)


def test_a_port_of_the_host_leads_to_the_endpoint_whichever_master_runs(
    several: Plex, inputs: Inputs
) -> None:
    plan = plan_plex(replace(several, api_forward=FORWARDED), replace(inputs, birth=BIRTH))

    (network,) = (one for one in plan.resources if isinstance(one, Network))
    assert network.forward == Forward("192.0.2.7", 20000, "10.64.3.10", 6443)
    assert not any("api" in dict(one.incus.devices) for one in plan.instances)


@pytest.mark.parametrize("where", ["two hosts", "a project"])
def test_elsewhere_a_forwarded_port_leads_from_the_first_master_to_the_endpoint(
    several: Plex, inputs: Inputs, where: str
) -> None:
    """Answers of a master on another host take another way; a project allows no forwards."""
    plex, hosts = replace(several, api_forward=FORWARDED), dict(inputs.hosts)
    first = plex.host_order[0]
    if where == "two hosts":
        plex = replace(plex, host_order=(first, "second"))
        hosts["second"] = replace(hosts[first], name="second")
    else:
        hosts[first] = replace(hosts[first], project="lab")
    several_hosts = replace(
        inputs,
        birth=BIRTH,
        hosts=hosts,
        facts=dict.fromkeys(hosts, inputs.facts[first]),
        baked={(host, "kube"): inputs.baked[first, "kube"] for host in hosts},
    )
    plan = plan_plex(plex, several_hosts)

    assert all(one.forward is None for one in plan.resources if isinstance(one, Network))
    devices = [dict(one.incus.devices) for one in plan.instances]
    assert dict(devices[0]["api"])["connect"] == "tcp:10.64.3.10:6443"
    assert not any("api" in one for one in devices[1:])
