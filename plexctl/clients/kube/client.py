"""The Kubernetes API calls of `up`, `plan`, `status` and the other verbs that must be fast.

Plain HTTPS with `requests`, which is loaded for Incus anyway. Importing the official client takes
0.5 s of processor time, more than all API calls of an `up` together; see `official.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plexctl.clients.kube.access import ApiAccess, tls_files
from plexctl.errors import PlexError

if TYPE_CHECKING:
    import requests

CONNECT, READ = 1.0, 5.0
"""Seconds. While a master boots, its API does not answer at all, or answers late."""

MANAGER = "plexctl"
"""The field manager of what plexctl applies."""

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A Node object, as far as plexctl needs it."""

    name: str
    ready: bool
    message: str  # why it is not Ready
    version: str  # of its kubelet
    roles: tuple[str, ...]
    unschedulable: bool


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod object, as far as plexctl needs it."""

    namespace: str
    name: str
    node: str
    phase: str
    ready: bool
    controller: str  # the kind of its controller: "DaemonSet", "Node" of a static pod, or ""


class UnreachableError(PlexError):
    """The API does not answer, or cannot answer this request yet."""


class InvalidObjectError(PlexError):
    """The API rejects an object: it is not valid, or must not be applied."""


class Kube:
    """A client of one cluster, with the rights of its certificate. Safe to use from threads.

    Every call may raise UnreachableError.
    """

    def __init__(self, server: str, session: requests.Session) -> None:
        self._server = server
        self._session = session
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}  # plural name, namespaced

    def nodes(self) -> tuple[NodeStatus, ...]:
        return tuple(map(_node, self._call("GET", "/api/v1/nodes").json()["items"]))

    def delete_node(self, name: str) -> None:
        """Delete a Node object, unless it is gone already."""
        self._call("DELETE", f"/api/v1/nodes/{name}", accept=(404,))

    def cordon(self, name: str) -> bool:
        """Mark a node as unschedulable. False if there is no such node."""
        return self.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})

    def uncordon(self, name: str) -> bool:
        """Mark a node as schedulable. False if there is no such node."""
        return self.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": None}})

    def pods(self, *, node: str = "", selector: str = "") -> tuple[Pod, ...]:
        """Pods of all namespaces, on one node or with the labels of `selector`."""
        params = {"fieldSelector": f"spec.nodeName={node}"} if node else {}
        if selector:
            params["labelSelector"] = selector
        return tuple(map(_pod, self._call("GET", "/api/v1/pods", params=params).json()["items"]))

    def evict(self, pod: Pod) -> bool:
        """Request that a pod leaves its node. False if it has to be requested again later.

        That is so while a PodDisruptionBudget forbids it (429), and in a namespace that is being
        deleted, where no Eviction can be created (403); `kubectl drain` retries in the same cases.
        """
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
        }
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
        answer = self._call("POST", path, json=body, accept=(403, 404, 429))
        if answer.status_code == 403 and not _is_terminating(answer):
            raise self._failure("POST", path, answer)
        return answer.status_code not in (403, 429)

    def replicas(self, namespace: str, deployment: str) -> tuple[int, int]:
        """Available and desired replicas of a Deployment; (0, 0) if there is none."""
        found = self.read(f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}")
        if found is None:
            return (0, 0)
        return (
            int(found["status"].get("availableReplicas", 0)),
            int(found["spec"].get("replicas", 1)),
        )

    def read(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any] | None:
        """The object or list at `path`; None if there is none."""
        answer = self._call("GET", path, params=params or {}, accept=(404,))
        return None if answer.status_code == 404 else answer.json()

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """Apply an object on the server's side; returns the object that results.

        plexctl takes over the fields that other managers have. UnreachableError as long as the
        API does not serve the object's kind; InvalidObjectError if the API rejects the object.
        """
        answer = self._call(
            "PATCH",
            self.path(document),
            params={"fieldManager": MANAGER, "force": "true"},
            data=json.dumps(document).encode(),
            headers={"Content-Type": "application/apply-patch+yaml"},
            accept=(400, 403, 404, 409, 422, 500),
        )
        if answer.ok:
            return dict(answer.json())
        metadata = document["metadata"]
        name = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
        summary = f"{document['kind']} {name}: {_message(answer)}"
        # A field of a wrong type is a 500, as an API that is still starting is.
        invalid = answer.status_code != 500 or "typed patch" in summary
        if answer.status_code == 404 or not invalid:
            raise UnreachableError(summary)
        raise InvalidObjectError(summary)

    def annotate(self, path: str, annotations: dict[str, str]) -> bool:
        """Set annotations of the object at `path`. False if there is no such object."""
        return self.patch(path, {"metadata": {"annotations": annotations}})

    def patch(self, path: str, change: dict[str, Any]) -> bool:
        """Merge `change` into the object at `path`. False if there is no such object."""
        answer = self._call("PATCH", path, json=change, headers=MERGE_PATCH, accept=(404,))
        return answer.status_code != 404

    def path(self, document: dict[str, Any]) -> str:
        """The path of an object. UnreachableError if the API does not serve its kind (yet)."""
        version, kind = document["apiVersion"], document["kind"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, kind) not in self._kinds:
            for resource in (self.read(base) or {}).get("resources", ()):
                if "/" not in resource["name"]:
                    key = version, resource["kind"]
                    self._kinds[key] = (resource["name"], resource["namespaced"])
        if (version, kind) not in self._kinds:
            raise UnreachableError(f"the API does not serve {kind} of {version}")
        plural, namespaced = self._kinds[version, kind]
        metadata = document["metadata"]
        place = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{base}{place}/{plural}/{metadata['name']}"

    def _call(
        self, method: str, path: str, *, accept: tuple[int, ...] = (), **arguments: Any
    ) -> requests.Response:
        """A request's answer: a success, or a failure with a status in `accept`."""
        import requests

        try:
            answer = self._session.request(
                method, f"{self._server}{path}", timeout=(CONNECT, READ), **arguments
            )
        except requests.RequestException as error:
            raise unreachable(self._server, error) from error
        if not answer.ok and answer.status_code not in accept:
            raise self._failure(method, path, answer)
        return answer

    def _failure(self, method: str, path: str, answer: requests.Response) -> UnreachableError:
        return UnreachableError(
            f"the API at {self._server} refuses {method} {path}: "
            f"{answer.status_code} {answer.reason}",
            details=(_message(answer),),
        )


@contextmanager
def connect(access: ApiAccess) -> Iterator[Kube]:
    """A client that trusts only the certificate authority of `access`."""
    import requests

    with tls_files(access) as files, requests.Session() as session:
        session.trust_env = False  # no proxies, no .netrc, no CA bundle of the environment
        session.verify = files.ca
        session.cert = (files.certificate, files.key)
        yield Kube(access.server, session)


def unreachable(server: str, error: BaseException) -> UnreachableError:
    """An error for an API that does not answer, with the innermost reason of `error`.

    That is "Connection refused" rather than the exceptions that libraries have wrapped it in.
    """
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    # `strerror` of a time-out exists, and is None.
    reason = str(getattr(error, "strerror", None) or error)
    return UnreachableError(f"the API at {server} does not answer", details=(reason,))


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
    owners = found["metadata"].get("ownerReferences", ())
    conditions = found["status"].get("conditions", ())
    return Pod(
        namespace=found["metadata"]["namespace"],
        name=found["metadata"]["name"],
        node=found["spec"].get("nodeName", ""),
        phase=found["status"].get("phase", ""),
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
        controller=next((one["kind"] for one in owners if one.get("controller")), ""),
    )


def _status(answer: requests.Response) -> dict[str, Any]:
    """The Status object that describes a failure; empty if the answer has none."""
    try:
        return dict(answer.json())
    except (ValueError, TypeError):
        return {}


def _message(answer: requests.Response) -> str:
    """The API's own description of a failure."""
    return str(_status(answer).get("message") or f"{answer.status_code} {answer.reason}")


def _is_terminating(answer: requests.Response) -> bool:
    """Whether a request was refused because the namespace is being deleted.

    https://github.com/kubernetes/api/blob/v0.36.0/core/v1/types.go, NamespaceTerminatingCause
    """
    causes = _status(answer).get("details", {}).get("causes", ())
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
