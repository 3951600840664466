"""The one door to a plex' Kubernetes API: the few calls that plexctl makes itself.

Plain HTTPS with `requests`, which is loaded for Incus anyway: importing the official client costs
more processor time than all calls of an `up` together.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plexctl.errors import PlexError
from plexctl.model.secret import Secret

if TYPE_CHECKING:
    import requests

CONNECT, READ = 1.0, 5.0
"""Seconds; a master that boots does not answer at all, or answers late."""


MANAGER = "plexctl"
"""Whose fields are those that plexctl applies."""


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Where the API of a plex is, and what opens it. Certificates and keys are PEM."""

    server: str  # https://10.64.0.11:6443
    ca: bytes
    certificate: bytes
    key: Secret


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node as its cluster knows it."""

    name: str
    ready: bool
    message: str  # why it is not Ready
    version: str  # of its kubelet
    roles: tuple[str, ...]
    unschedulable: bool


@dataclass(frozen=True, slots=True)
class Pod:
    namespace: str
    name: str
    node: str
    phase: str
    ready: bool
    controller: str  # kind of what owns it: "DaemonSet", "ReplicaSet", "Node" (static), ""


class UnreachableError(PlexError):
    """The API does not answer, or not yet with what is asked."""


class RefusedError(PlexError):
    """The API answers that what it is given cannot be."""


class Kube:
    """A client that may do everything in one cluster. Safe to use from several threads."""

    def __init__(self, server: str, session: requests.Session) -> None:
        self._server = server
        self._session = session
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}  # plural name, namespaced

    def nodes(self) -> tuple[NodeStatus, ...]:
        return tuple(map(_node, self._call("GET", "/api/v1/nodes").json()["items"]))

    def delete_node(self, name: str) -> None:
        """Remove a node's object; one that is gone already is no error."""
        self._call("DELETE", f"/api/v1/nodes/{name}", fine=(404,))

    def cordon(self, name: str, *, closed: bool = True) -> bool:
        """Let no new pod onto a node, or let them again. False if there is no such node."""
        answer = self._call(
            "PATCH",
            f"/api/v1/nodes/{name}",
            json={"spec": {"unschedulable": closed or None}},
            headers={"Content-Type": "application/merge-patch+json"},
            fine=(404,),
        )
        return bool(answer.status_code != 404)

    def pods(self, *, node: str = "", selector: str = "") -> tuple[Pod, ...]:
        """Pods of all namespaces, on one node or with the labels of `selector`."""
        params = {"fieldSelector": f"spec.nodeName={node}"} if node else {}
        if selector:
            params["labelSelector"] = selector
        return tuple(map(_pod, self._call("GET", "/api/v1/pods", params=params).json()["items"]))

    def evict(self, pod: Pod) -> bool:
        """Ask for a pod to leave its node. False if a disruption budget says: not now."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
        }
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
        answer = self._call("POST", path, json=body, fine=(404, 429))
        return bool(answer.status_code != 429)

    def available(self, namespace: str, deployment: str) -> tuple[int, int]:
        """Pods of a deployment: available ones, wanted ones. (0, 0) if there is no such."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        answer = self._call("GET", path, fine=(404,))
        if answer.status_code == 404:
            return (0, 0)
        found = answer.json()
        return (
            int(found["status"].get("availableReplicas", 0)),
            int(found["spec"].get("replicas", 1)),
        )

    def read(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any] | None:
        """The object or list at a path of the API; None if there is none."""
        answer = self._call("GET", path, params=params or {}, fine=(404,))
        return None if answer.status_code == 404 else answer.json()

    def apply(
        self, document: dict[str, Any], *, manager: str = MANAGER, dry_run: bool = False
    ) -> dict[str, Any]:
        """Apply an object on the server's side; returns it as it is, or with `dry_run` would be.

        Fields of other managers that it names are taken over. UnreachableError while the API does
        not know its kind; RefusedError if it is not valid.
        """
        params = {"fieldManager": manager, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        answer = self._call(
            "PATCH",
            self.path(document),
            params=params,
            data=json.dumps(document).encode(),
            headers={"Content-Type": "application/apply-patch+yaml"},
            fine=(400, 403, 404, 409, 422, 500),
        )
        if answer.ok:
            return dict(answer.json())
        metadata = document["metadata"]
        name = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
        what = f"{document['kind']} {name}: {_message(answer)}"
        # What has a field of a wrong type is an error of the server's own, as one at its start is.
        wrong = answer.status_code != 500 or "typed patch" in what
        if answer.status_code == 404 or not wrong:
            raise UnreachableError(what)
        raise RefusedError(what)

    def annotate(self, path: str, annotations: dict[str, str]) -> bool:
        """Set annotations of the object at `path`. False if there is none."""
        return self.patch(path, {"metadata": {"annotations": annotations}})

    def patch(self, path: str, change: dict[str, Any]) -> bool:
        """Merge `change` into the object at `path`. False if there is none."""
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = self._call("PATCH", path, json=change, headers=headers, fine=(404,))
        return bool(answer.status_code != 404)

    def path(self, document: dict[str, Any]) -> str:
        """Of an object in the API. UnreachableError if its kind is not known (yet)."""
        version, kind = document["apiVersion"], document["kind"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, kind) not in self._kinds:
            for resource in (self.read(base) or {}).get("resources", ()):
                if "/" not in resource["name"]:
                    key = version, resource["kind"]
                    self._kinds[key] = (resource["name"], resource["namespaced"])
        if (version, kind) not in self._kinds:
            raise UnreachableError(f"the API knows no {kind} of {version}")
        plural, namespaced = self._kinds[version, kind]
        metadata = document["metadata"]
        place = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{base}{place}/{plural}/{metadata['name']}"

    def _call(
        self, method: str, path: str, *, fine: tuple[int, ...] = (), **arguments: Any
    ) -> requests.Response:
        import requests

        try:
            answer = self._session.request(
                method, f"{self._server}{path}", timeout=(CONNECT, READ), **arguments
            )
        except requests.RequestException as error:
            raise UnreachableError(
                f"the API at {self._server} does not answer", details=(_cause(error),)
            ) from error
        if not answer.ok and answer.status_code not in fine:
            raise UnreachableError(
                f"the API at {self._server} refuses {method} {path}: "
                f"{answer.status_code} {answer.reason}",
                details=answer.text.strip().splitlines()[-3:],
            )
        return answer


@contextmanager
def connect(door: ApiAccess) -> Iterator[Kube]:
    """A client that trusts the certificate authority of `door` only.

    The TLS library reads keys from files: they are on disk, for this user only, while it connects.
    """
    import requests

    with tempfile.TemporaryDirectory(prefix="plexctl-", dir=_memory()) as folder:
        files = {"ca": door.ca, "cert": door.certificate, "key": door.key.reveal()}
        paths = {name: f"{folder}/{name}" for name in files}
        for name, content in files.items():
            descriptor = os.open(paths[name], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        with requests.Session() as session:
            # Neither a proxy nor a bundle of the environment has a say in this connection.
            session.trust_env = False
            session.verify = paths["ca"]
            session.cert = (paths["cert"], paths["key"])
            yield Kube(door.server, session)


def _memory() -> str | None:
    """A folder that is no disk, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - for a folder of its own


def _node(found: dict[str, Any]) -> NodeStatus:
    conditions = {c["type"]: c for c in found["status"].get("conditions", ())}
    ready = conditions.get("Ready", {})
    prefix = "node-role.kubernetes.io/"
    labels = found["metadata"].get("labels", {})
    return NodeStatus(
        name=found["metadata"]["name"],
        ready=ready.get("status") == "True",
        message="" if ready.get("status") == "True" else ready.get("message", "no status yet"),
        version=found["status"]["nodeInfo"]["kubeletVersion"],
        roles=tuple(sorted(k.removeprefix(prefix) for k in labels if k.startswith(prefix))),
        unschedulable=bool(found["spec"].get("unschedulable")),
    )


def _pod(found: dict[str, Any]) -> Pod:
    owners = found["metadata"].get("ownerReferences") or [{}]
    conditions = found["status"].get("conditions", ())
    return Pod(
        namespace=found["metadata"]["namespace"],
        name=found["metadata"]["name"],
        node=found["spec"].get("nodeName", ""),
        phase=found["status"].get("phase", ""),
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
        controller=owners[0].get("kind", ""),
    )


def _message(answer: requests.Response) -> str:
    """What the API says of a failure, without its wrapping."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason}"


def _cause(error: BaseException) -> str:
    """The innermost reason: "Connection refused" rather than the library's nest of it."""
    while True:
        inner = error.__cause__ or error.__context__
        if inner is None:
            break
        error = inner
    # That of a time-out has the field, but nothing in it.
    return str(getattr(error, "strerror", None) or error)
