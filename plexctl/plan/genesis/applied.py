"""What becomes of documents that plexctl applies: the objects of a cluster at rest.

The API server and the controllers complete what is applied: they allocate addresses, accept the
names of CustomResourceDefinitions, and create the ReplicaSet and the pods of a Deployment, and the
ControllerRevision and the pods of a StatefulSet. `addition` computes the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from plexctl.plan.documents import Document
from plexctl.plan.genesis import deployments, fields, pods, stateful_sets
from plexctl.plan.genesis.addition import Addition
from plexctl.plan.genesis.deployments import REVISION
from plexctl.plan.genesis.normal import map_strings
from plexctl.plan.genesis.storage import storage_key

MANAGER, CONTROLLERS, API = "plexctl", "kube-controller-manager", "kube-apiserver"
PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "ControllerRevision": "controllerrevisions",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Deployment": "deployments",
    "IPAddress": "ipaddresses",
    "Namespace": "namespaces",
    "NetworkPolicy": "networkpolicies",
    "APIService": "apiservices",
    "Pod": "pods",
    "ReplicaSet": "replicasets",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
}
"""The plural of each kind that `addition` knows."""

COUNTED = frozenset(
    {
        *("CustomResourceDefinition", "Deployment", "NetworkPolicy", "Pod", "ReplicaSet"),
        "StatefulSet",
    }
)
"""Kinds whose changes are counted in metadata.generation. So are those of custom resources."""

WORKLOADS = ("Deployment", "StatefulSet")

ROOT_CA = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
    "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
    "guaranteed across distributions of Kubernetes clusters."
)


def is_known(documents: Sequence[Document]) -> bool:
    """Whether `addition` knows what a cluster makes of `documents`."""
    custom = _custom(documents)
    return all(
        (one["kind"] in PLURALS or _identity(one) in custom)
        and (one["kind"] not in WORKLOADS or _is_known_workload(one["spec"]))
        for one in documents
    )


def _is_known_workload(spec: Document) -> bool:
    """Whether the pods of a workload have a known priority and no volumes of their own."""
    priority = spec["template"]["spec"].get("priorityClassName", "")
    return priority in pods.PRIORITIES and not spec.get("volumeClaimTemplates")


def addition(documents: Sequence[Document], services: IPv4Network, ca: bytes) -> Addition:
    """The objects of `documents` in a new cluster.

    Services get the last addresses of `services`: those that users choose are usually among the
    first. `ca` is the certificate of the cluster's CA in PEM. KeyError unless `is_known`.
    """
    plain = [map_strings(one, lambda text: text.replace("${", "${{")) for one in documents]
    found = _Objects(_custom(plain), _without_token(plain), services, ca.decode(), {}, {})
    for document in plain:
        found.add(document)
    return Addition(found.objects, found.pods)


@dataclass(frozen=True, slots=True)
class _Objects:
    """The objects of a cluster. `add` adds what becomes of one document."""

    custom: Mapping[tuple[str, str], str]  # plural of each group and kind
    without_token: frozenset[tuple[str, str]]  # service accounts, by namespace and name
    services: IPv4Network
    ca: str
    objects: dict[str, Document]
    pods: dict[str, Document]

    def add(self, document: Document) -> None:
        match document["kind"]:
            case "Namespace":
                self._namespace(document)
            case "CustomResourceDefinition":
                self._definition(document)
            case "Service":
                self._service(document)
            case "Deployment":
                self._deployment(document)
            case "StatefulSet":
                self._stateful_set(document)
            case _:
                self._put(document, [self._by_plexctl(document)])

    def _by_plexctl(self, document: Document) -> Document:
        custom = _identity(document) in self.custom
        return fields.entry(MANAGER, "Apply", document, fields.applied(document, custom=custom))

    def _created(self, document: Document, manager: str) -> Document:
        """Store an object that `manager` creates besides the documents; returns it as stored."""
        by = fields.entry(manager, "Update", document, fields.written(document))
        return self._put(document, [by])

    def _put(self, document: Document, managers: list[Document]) -> Document:
        key = self._key(document)
        self.objects[key] = self._born(key, document, managers)
        return self.objects[key]

    def _key(self, document: Document) -> str:
        group, kind = _identity(document)
        metadata = document["metadata"]
        custom = (group, kind) in self.custom
        plural = self.custom[group, kind] if custom else PLURALS[kind]
        namespace = metadata.get("namespace", "")
        return storage_key(group, plural, metadata["name"], namespace, custom=custom)

    def _born(self, key: str, document: Document, managers: list[Document]) -> Document:
        counted = document["kind"] in COUNTED or _identity(document) in self.custom
        metadata = {
            **document["metadata"],
            "uid": f"${{uid:{key}}}",
            **({"generation": 1} if counted else {}),
            "creationTimestamp": "${now}",
            **({"managedFields": managers} if managers else {}),
        }
        return {**document, "metadata": metadata}

    def _namespace(self, document: Document) -> None:
        """A namespace, with what controllers create in each."""
        name, metadata = document["metadata"]["name"], document["metadata"]
        labels = {"kubernetes.io/metadata.name": name, **metadata.get("labels", {})}
        whole = {
            **document,
            "metadata": {**metadata, "labels": labels},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        self._put(whole, [self._by_plexctl(document)])
        self._put(_in_namespace("ServiceAccount", "default", name), [])
        root = _in_namespace("ConfigMap", "kube-root-ca.crt", name)
        root["metadata"]["annotations"] = {"kubernetes.io/description": ROOT_CA}
        self._created({**root, "data": {"ca.crt": self.ca}}, CONTROLLERS)

    def _definition(self, document: Document) -> None:
        """A CustomResourceDefinition whose names are accepted; its group is registered."""
        spec = document["spec"]
        stored = [one["name"] for one in spec["versions"] if one["storage"]]
        names = {"listKind": f"{spec['names']['kind']}List", **spec["names"]}
        names.setdefault("singular", spec["names"]["kind"].lower())
        conditions = [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            _condition(
                "Established", "InitialNamesAccepted", "the initial names have been accepted"
            ),
        ]
        status = {"conditions": conditions, "acceptedNames": names, "storedVersions": stored}
        noted = {"f:status": fields.created({"acceptedNames": names, "conditions": conditions})}
        by = _on_status(API, document, noted)
        self._put({**document, "status": status}, [self._by_plexctl(document), by])
        for version in spec["versions"]:
            if version["served"]:
                self._registration(spec["group"], version["name"])

    def _registration(self, group: str, version: str) -> None:
        """The API server registers each version of a group of custom resources."""
        document = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {
                "name": f"{version}.{group}",
                "labels": {"kube-aggregator.kubernetes.io/automanaged": "true"},
            },
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 1000,
                "versionPriority": 100,
            },
        }
        local = _condition("Available", "Local", "Local APIServices are always available")
        self._created({**document, "status": {"conditions": [local]}}, API)

    def _service(self, document: Document) -> None:
        metadata = document["metadata"]
        number = sum(1 for one in self.objects.values() if one["kind"] == "Service")
        address = str(self.services[-2 - number])  # the last one is the broadcast address
        spec = {
            "clusterIP": address,
            "clusterIPs": [address],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            **document["spec"],
        }
        whole = {**document, "spec": spec, "status": {"loadBalancer": {}}}
        self._put(whole, [self._by_plexctl(document)])
        labels = {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        parent = {
            "resource": "services",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
        }
        allocated = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {"name": address, "labels": labels},
            "spec": {"parentRef": parent},
        }
        self._created(allocated, API)

    def _deployment(self, document: Document) -> None:
        """A Deployment with its ReplicaSet, and the template of its pods."""
        metadata = document["metadata"]
        annotations = {**metadata.get("annotations", {}), REVISION: "1"}
        noted: Document = {"f:metadata": {"f:annotations": {".": {}, f"f:{REVISION}": {}}}}
        deployment = self._put(
            {**document, "metadata": {**metadata, "annotations": annotations}, "status": {}},
            [self._by_plexctl(document), _on_status(CONTROLLERS, document, noted)],
        )
        owner = self._created(deployments.replica_set(deployment), CONTROLLERS)
        self._pod(deployments.pod(owner))

    def _stateful_set(self, document: Document) -> None:
        """A StatefulSet with its ControllerRevision, and the template of its pods."""
        stateful_set = self._put({**document, "status": {}}, [self._by_plexctl(document)])
        revision = stateful_sets.revision(stateful_set)
        whole = fields.written({**revision, "data": {}})  # it is replaced as a whole
        self._put(revision, [fields.entry(CONTROLLERS, "Update", revision, whole)])
        self._pod(stateful_sets.pod(stateful_set, revision["metadata"]["name"]))

    def _pod(self, requested: Document) -> None:
        """The template of a pod that a controller has requested."""
        by = fields.entry(CONTROLLERS, "Update", requested, fields.written(requested))
        account = requested["spec"].get("serviceAccountName", "default")
        token = (requested["metadata"]["namespace"], account) not in self.without_token
        spec = pods.admitted(requested["spec"], token=token)
        pod = {**requested, "spec": spec, "status": pods.status(spec)}
        key = self._key(pod)
        self.pods[key] = self._born(key, pod, [by])


def _custom(documents: Sequence[Document]) -> dict[tuple[str, str], str]:
    """The plural of each kind, by its group and itself, that one of `documents` defines."""
    specs = (one["spec"] for one in documents if one["kind"] == "CustomResourceDefinition")
    return {(one["group"], one["names"]["kind"]): one["names"]["plural"] for one in specs}


def _without_token(documents: Sequence[Document]) -> frozenset[tuple[str, str]]:
    """The service accounts, by namespace and name, whose pods get no token unless they ask."""
    return frozenset(
        (one["metadata"]["namespace"], one["metadata"]["name"])
        for one in documents
        if one["kind"] == "ServiceAccount" and one.get("automountServiceAccountToken") is False
    )


def _identity(document: Document) -> tuple[str, str]:
    """The group and the kind of an object."""
    group = document["apiVersion"].rpartition("/")[0]
    return group, document["kind"]


def _in_namespace(kind: str, name: str, namespace: str) -> Document:
    """An object of the core group without content."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def _condition(kind: str, reason: str, message: str) -> Document:
    return {
        "type": kind,
        "status": "True",
        "lastTransitionTime": "${now}",
        "reason": reason,
        "message": message,
    }


def _on_status(manager: str, document: Document, noted: Document) -> Document:
    """An entry of managedFields for an update of the status."""
    return {**fields.entry(manager, "Update", document, noted), "subresource": "status"}
