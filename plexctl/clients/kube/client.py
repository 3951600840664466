"""The Kubernetes API calls of `up`, `plan`, `status` and the other verbs that must be fast.

Plain HTTPS with Python's own library. Importing the official client takes 0.5 s of processor time,
more than all API calls of an `up` together; see `official.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from plexctl.clients.kube.access import ApiAccess, tls_files
from plexctl.errors import PlexError

if TYPE_CHECKING:  # `status` makes its calls in another process, which alone has to load these
    import ssl

    from plexctl.clients.http_session import Answer, HttpSession

OUTSIDE_VALIDITY = (9, 10)
"""OpenSSL's codes of a certificate that is not valid yet, and of one that has expired."""

CONNECT, READ = 1.0, 5.0
"""Seconds. While a master boots, its API does not answer at all, or answers late."""

MANAGER = "plexctl"
"""The field manager of what plexctl applies."""

DRAINING = "plexctl/draining"
"""Annotation of a node that plexctl has cordoned, so that a later run can undo it."""

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
STRATEGIC_PATCH = {"Content-Type": "application/strategic-merge-patch+json"}


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A Node object, as far as plexctl needs it."""

    name: str
    ready: bool
    message: str  # why it is not Ready
    version: str  # of its kubelet
    roles: tuple[str, ...]
    unschedulable: bool
    draining: bool = False  # plexctl has cordoned it to drain it
    reported: datetime | None = None  # when its kubelet has last reported whether it is Ready


LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


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


class CertificateError(UnreachableError):
    """The API does not accept the client's certificate, or the client does not accept the API's."""


class InvalidObjectError(PlexError):
    """The API rejects an object: it is not valid, or must not be applied."""


class Kube:
    """A client of one cluster, with the rights of its certificate. Safe to use from threads.

    Every call may raise UnreachableError.
    """

    def __init__(self, server: str, session: HttpSession) -> None:
        self._server = server
        self._session = session
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}  # plural name, namespaced

    def nodes(self) -> tuple[NodeStatus, ...]:
        return tuple(map(_node, self._call("GET", "/api/v1/nodes").json()["items"]))

    def renewals(self) -> dict[str, datetime]:
        """When the kubelet of each node has last renewed its lease."""
        found = (self.read(LEASES) or {}).get("items", ())
        times = {one["metadata"]["name"]: time_of(one["spec"].get("renewTime")) for one in found}
        return {name: time for name, time in times.items() if time}

    def delete_node(self, name: str) -> None:
        """Delete a Node object, unless it is gone already."""
        self.delete(f"/api/v1/nodes/{name}")

    def cordon(self, name: str) -> bool:
        """Mark a node as unschedulable, to drain it. False if there is no such node."""
        return self._set_draining(name, True)

    def uncordon(self, name: str) -> bool:
        """Mark a node as schedulable. False if there is no such node."""
        return self._set_draining(name, None)

    def _set_draining(self, name: str, draining: Literal[True] | None) -> bool:
        # A merge patch deletes what is null.
        change = {
            "metadata": {"annotations": {DRAINING: draining and "true"}},
            "spec": {"unschedulable": draining},
        }
        return self.patch(f"/api/v1/nodes/{name}", change)

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
        answer = self._call("POST", path, body=body, accept=(403, 404, 429))
        if answer.status == 403 and not _is_terminating(answer):
            raise self._failure("POST", path, answer)
        return answer.status not in (403, 429)

    def ready_endpoints(self, namespace: str, service: str) -> int:
        """The number of Ready pods of a Service, as its EndpointSlices say."""
        slices = self.read(
            f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
            params={"labelSelector": f"kubernetes.io/service-name={service}"},
        )
        endpoints = (
            one for found in (slices or {}).get("items", ()) for one in found.get("endpoints") or ()
        )
        return sum(1 for one in endpoints if one.get("conditions", {}).get("ready"))

    def read(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any] | None:
        """The object or list at `path`; None if there is none."""
        answer = self._call("GET", path, params=params or {}, accept=(404,))
        return None if answer.status == 404 else answer.json()

    def text(self, path: str) -> str:
        """What the API has at `path` if that is no object: metrics."""
        return self._call("GET", path, params={}).content.decode(errors="replace")

    def delete(self, path: str) -> None:
        """Delete the object at `path`, unless it is gone already."""
        self._call("DELETE", path, accept=(404,))

    def delete_lost_pod(self, pod: Pod) -> None:
        """Delete a pod whose node is gone: no kubelet would ever confirm its end."""
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"
        self._call("DELETE", path, accept=(404,), params={"gracePeriodSeconds": "0"})

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """Apply an object on the server's side; returns the object that results.

        plexctl takes over the fields that other managers have. UnreachableError as long as the
        API does not serve the object's kind; InvalidObjectError if the API rejects the object.
        """
        answer = self._call(
            "PATCH",
            self.path(document),
            params={"fieldManager": MANAGER, "force": "true"},
            body=document,
            headers={"Content-Type": "application/apply-patch+yaml"},
            accept=(400, 403, 404, 409, 422, 500),
        )
        if answer.ok:
            return dict(answer.json())
        metadata = document["metadata"]
        name = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
        summary = f"{document['kind']} {name}: {_message(answer)}"
        # A field of a wrong type is a 500, as an API that is still starting is.
        invalid = answer.status != 500 or "typed patch" in summary
        if answer.status == 404 or not invalid:
            raise UnreachableError(summary)
        raise InvalidObjectError(summary)

    def annotate(self, path: str, annotations: dict[str, str]) -> bool:
        """Set annotations of the object at `path`. False if there is no such object."""
        return self.patch(path, {"metadata": {"annotations": annotations}})

    def patch(self, path: str, change: dict[str, Any]) -> bool:
        """Merge `change` into the object at `path`. False if there is no such object."""
        answer = self._call("PATCH", path, body=change, headers=MERGE_PATCH, accept=(404,))
        return answer.status != 404

    def patch_lists(self, path: str, change: dict[str, Any]) -> bool:
        """The same with lists merged by the names of their members, as kubectl patches."""
        answer = self._call("PATCH", path, body=change, headers=STRATEGIC_PATCH, accept=(404,))
        return answer.status != 404

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
        self,
        method: str,
        path: str,
        *,
        accept: tuple[int, ...] = (),
        params: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """A request's answer: a success, or a failure with a status in `accept`."""
        from plexctl.clients.http_session import ERRORS

        sent = {} if body is None else {"Content-Type": "application/json"}
        try:
            answer = self._session.call(
                method,
                path,
                timeout=(CONNECT, READ),
                params=params,
                body=None if body is None else json.dumps(body).encode(),
                headers=sent | (headers or {}),
                # The address of the API moves between masters. Every call may be made again.
                repeatable=True,
            )
        except ERRORS as error:
            raise unreachable(self._server, error) from error
        if not answer.ok and answer.status not in accept:
            raise self._failure(method, path, answer)
        return answer

    def _failure(self, method: str, path: str, answer: Answer) -> UnreachableError:
        kind = CertificateError if answer.status == 401 else UnreachableError
        return kind(
            f"the API at {self._server} refuses {method} {path}: {answer.status} {answer.reason}",
            details=(_message(answer),),
        )


@contextmanager
def connect(access: ApiAccess) -> Iterator[Kube]:
    """A client that trusts only the certificate authority of `access`."""
    from plexctl.clients.http_session import url_session

    session = url_session(access.server, _tls(access))
    try:
        yield Kube(access.server, session)
    finally:
        session.close()


def _tls(access: ApiAccess) -> ssl.SSLContext:
    """The certificates of `access`, for all connections of a client."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=access.ca.decode())
    with tls_files(access) as files:
        context.load_cert_chain(files.certificate, files.key)
    return context


def unreachable(server: str, error: BaseException) -> UnreachableError:
    """An error for an API that does not answer, with the innermost reason of `error`.

    That is "Connection refused" rather than the exceptions that libraries have wrapped it in. A
    CertificateError if a certificate is the reason.
    """
    import ssl

    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    # `strerror` of a time-out exists, and is None.
    reason = str(getattr(error, "strerror", None) or error)
    if isinstance(error, TimeoutError) and not error.errno:
        reason = "timed out"  # the library's text also names an operation of TLS
    if isinstance(error, ssl.SSLError) and "certificate" in reason.lower():
        # Without the place in Python's source: "certificate has expired (_ssl.c:992)".
        reason = reason.partition(" (_ssl")[0].partition("] ")[2] or reason
        if getattr(error, "verify_code", None) in OUTSIDE_VALIDITY:
            reason += f"; this machine's clock says {datetime.now(UTC):%Y-%m-%d}"
        return CertificateError(
            f"the connection to the API at {server} is not trusted", details=(reason,)
        )
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
        draining=DRAINING in found["metadata"].get("annotations", {}),
        reported=time_of(ready.get("lastHeartbeatTime")),
    )


def time_of(text: str | None) -> datetime | None:
    """A time in an object of the API, "2026-11-30T09:00:00Z"; None if it has none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


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


def _status(answer: Answer) -> dict[str, Any]:
    """The Status object that describes a failure; empty if the answer has none."""
    try:
        return dict(answer.json())
    except (ValueError, TypeError):
        return {}


def _message(answer: Answer) -> str:
    """The API's own description of a failure."""
    return str(_status(answer).get("message") or f"{answer.status} {answer.reason}")


def _is_terminating(answer: Answer) -> bool:
    """Whether a request was refused because the namespace is being deleted.

    https://github.com/kubernetes/api/blob/v0.36.0/core/v1/types.go, NamespaceTerminatingCause
    """
    causes = _status(answer).get("details", {}).get("causes", ())
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
