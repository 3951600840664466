"""Fills the recorded documents with what a plex decides. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from plexctl.keys.pki import ClusterKeys
from plexctl.model.host_spec import HostFacts
from plexctl.model.kinds import ProvisionEngine
from plexctl.model.nodes import masters
from plexctl.model.plex import Node, Plex, Role
from plexctl.plan.documents import Document, dump, merge
from plexctl.plan.genesis.addition import Addition
from plexctl.plan.genesis.deployments import SURGE, scale
from plexctl.plan.genesis.endpoints import api_endpoints
from plexctl.plan.genesis.holes import fill, plex_values
from plexctl.plan.genesis.names import letters
from plexctl.plan.genesis.place import PREFERRED, places
from plexctl.plan.genesis.recording import Recording
from plexctl.plan.kubernetes import kubeadm
from plexctl.plan.kubernetes.quiet import add_quiet
from plexctl.plan.kubernetes.static_pods import peer_url

CONFIG_MAPS = "/registry/configmaps/kube-system"
PROMPT = 16
"""Workers that get pods beforehand. The controller manager deletes a pod after 40 s if its node is
not registered then, which may happen to those that are created last; theirs are created when they
register."""

TOKEN = "etcd-cluster"  # noqa: S105 - no secret: the default of etcd


@dataclass(frozen=True, slots=True)
class Entry:
    """An object, and the key under which the API server reads it.

    The node fills `${uid:KEY}` and `${now}` in it.
    """

    key: str
    value: Document


OTHER_OBJECTS = {
    "apiServer": (
        "admission-control-config-file",
        "authorization-config",
        "authorization-mode",
        "disable-admission-plugins",
        "enable-admission-plugins",
        "encryption-provider-config",
        "etcd-prefix",
        "feature-gates",
        "runtime-config",
        "storage-media-type",
    ),
    "controllerManager": ("controllers", "feature-gates"),
}
"""Arguments with which a cluster has other objects in etcd than the recorded one, or stores them
in another form."""


def is_born_complete(plex: Plex) -> bool:
    """Whether a new cluster of `plex` may get the contents of etcd from a recording.

    If not, kubeadm and the controllers create them: the plex has `genesis: false`, or settings that
    lead to other objects than those of a recording.
    """
    if not plex.genesis:
        return False
    cluster = json.loads(plex.cluster)
    used = {
        argument["name"]
        for component, names in OTHER_OBJECTS.items()
        for argument in cluster.get(component, {}).get("extraArgs", [])
        if argument["name"] in names
    }
    local = cluster.get("etcd", {}).get("local") or {}
    return not (used or "featureGates" in cluster or local.keys() - {"extraEnvs"})


def takes_additions(plex: Plex) -> bool:
    """Whether a new cluster of `plex` is born with add-ons, too.

    Not with OpenTofu: it would write a changed file into the running node.
    """
    return is_born_complete(plex) and plex.engine is not ProvisionEngine.TOFU


def genesis_file(plex: Plex, entries: Iterable[Entry], token: str = TOKEN) -> bytes:
    """The input of the program `genesis`: the members of etcd, and every object.

    The token decides the identifiers of cluster and members. Members of a cluster and of an earlier
    one with the same names must not take each other for their own.
    """
    content = {
        "version": 1,
        "cluster": {
            "token": token,
            "members": [{"name": one.name, "peer": peer_url(one)} for one in masters(plex)],
        },
        "objects": [{"key": entry.key, "value": entry.value} for entry in entries],
    }
    return json.dumps(content, separators=(",", ":")).encode()


def compose(
    plex: Plex,
    members: Sequence[Node],
    keys: ClusterKeys,
    facts: HostFacts,
    recording: Recording,
    additions: Sequence[Addition] = (),
) -> tuple[Entry, ...]:
    """Every object of a new cluster whose nodes are `members`.

    They are those of `recording`, which has the cluster's version, and `additions`.

    Each of the first nodes has a pod of each DaemonSet; pods of Deployments and StatefulSets are
    bound to nodes that suit them.
    """
    joined = [node for node in members if node.role is not Role.PLAIN][: plex.masters + PROMPT]
    found: list[Entry] = []
    for one in (_kubernetes(plex, keys, facts, recording), *additions):
        found += (Entry(key, value) for key, value in one.objects.items())
        found += _pods(one, joined, plex)
    return tuple(sorted(found, key=lambda entry: entry.key))


def _kubernetes(plex: Plex, keys: ClusterKeys, facts: HostFacts, recording: Recording) -> Addition:
    """What kubeadm and the control plane create: the recorded documents, filled for `plex`."""
    values = {**plex_values(plex, keys), "hash": _hash(plex)}
    recorded = json.loads(fill(recording.text, values))
    _configure(recorded["objects"], plex, facts)
    if plex.masters > 1:
        _prefer_all_masters((recorded["objects"], recorded["pods"]), plex)
        add_quiet((recorded["objects"], recorded["pods"]), plex)
        recorded["objects"] |= api_endpoints(plex)
    return Addition(recorded["objects"], recorded["pods"])


def _pods(addition: Addition, nodes: Sequence[Node], plex: Plex) -> Iterator[Entry]:
    """The pods of an addition, each on its node."""
    for key, chosen in places(addition, nodes).items():
        text = json.dumps({"key": key, "value": addition.pods[key]})
        for number, node in enumerate(chosen):
            own = {
                "node.name": node.name,
                "ordinal": str(number),
                "suffix": letters(f"{plex.name} {key} {number}", 5),
            }
            yield Entry(**json.loads(fill(text, own)))


def _configure(objects: dict[str, Document], plex: Plex, facts: HostFacts) -> None:
    """Put the plex' own settings into what kubeadm writes."""
    texts = {
        ("kubeadm-config", "ClusterConfiguration"): kubeadm.cluster_configuration(plex),
        ("kubelet-config", "kubelet"): kubeadm.kubelet_configuration(plex, facts),
        ("kube-proxy", "config.conf"): kubeadm.proxy_configuration(plex),
    }
    for (name, field), document in texts.items():
        data = objects[f"{CONFIG_MAPS}/{name}"]["data"]
        text = dump(merge(yaml.load(data[field], yaml.CSafeLoader), document))
        data[field] = text.replace("${", "${{")  # a user's value is no hole of the node
    for one in objects.values():
        if one["metadata"]["name"].startswith("coredns") and "replicas" in one.get("spec", {}):
            one["spec"]["replicas"] = plex.dns_replicas
            if one["kind"] == "ReplicaSet":
                one["metadata"]["annotations"] |= scale(plex.dns_replicas, SURGE)


def _prefer_all_masters(documents: Iterable[Mapping[str, Document]], plex: Plex) -> None:
    """Let CoreDNS prefer every master, where the recorded one prefers the only one."""
    names = [one.name for one in masters(plex)]
    for group in documents:
        for key, one in group.items():
            spec = one.get("spec", {})
            spec = spec.get("template", {}).get("spec", spec)
            preferences = spec.get("affinity", {}).get("nodeAffinity", {}).get(PREFERRED, ())
            if "coredns" in key:
                for preference in preferences:
                    for wanted in preference["preference"]["matchExpressions"]:
                        wanted["values"] = names


def _hash(plex: Plex) -> str:
    """The label of templates. Controllers find their objects by the template itself."""
    return letters(f"{plex.kubernetes} {kubeadm.endpoint(plex)} {plex.domain}", 10)
