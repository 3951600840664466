"""Programs that use the API of a cluster, or a service in it, while parts of the cluster fail.

Each remembers what was acknowledged, and the longest time in which nothing was.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from .support import Cluster, eventually

WRITES = "/api/v1/namespaces/default/configmaps"
EVERY = 0.1
"""Seconds between two writes."""

DEAD = 90.0
"""Seconds without an acknowledgement after which a story has failed."""

POD = "writer"
POD_SCRIPT = """\
import http.client, json, os, pathlib, ssl, time
PATH = "/api/v1/namespaces/default/configmaps"
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
tls = ssl.create_default_context(cafile=str(account / "ca.crt"))
number, connection = 0, None
while True:
    token = (account / "token").read_text()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    name = f"{os.environ['RUN']}-{number}"
    try:
        host, port = (os.environ[f"KUBERNETES_SERVICE_{one}"] for one in ("HOST", "PORT"))
        if connection is None:
            connection = http.client.HTTPSConnection(host, int(port), timeout=1, context=tls)
        connection.request("POST", PATH, json.dumps({"metadata": {"name": name}}), headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection = None
        time.sleep(0.02)
        continue
    if answer.status in (201, 409):
        print(name, time.monotonic(), flush=True)
        number += 1
        time.sleep(0.1)
    else:
        time.sleep(0.02)
"""
"""Writes a numbered object each 100 ms, and prints the name and the time of each that is there."""


@dataclass
class Caller:
    """Calls the API from this machine, one call after another, and again until one succeeds."""

    kubeconfig: Path
    folder: Path
    done: list[str] = field(default_factory=list)  # what was acknowledged
    away: float = 0.0  # the longest time without an acknowledgement, in seconds
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Caller:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread:
            self._thread.join(60)
        print(f"{type(self).__name__}: {len(self.done)} calls, away for {self.away:.2f} s at most")
        assert self.away < DEAD, "nothing succeeded for so long that the cluster was lost"

    def call(self, connection: http.client.HTTPSConnection) -> str | None:
        """One call: a name for what it did, or None if it has to be repeated."""
        raise NotImplementedError

    def _run(self) -> None:
        last = time.monotonic()
        connection: http.client.HTTPSConnection | None = None
        while not self._end.is_set():
            try:
                connection = connection or connect(self.kubeconfig, self.folder)
                name = self.call(connection)
            except (OSError, http.client.HTTPException):
                name, connection = None, None
            now = time.monotonic()
            self.away = max(self.away, now - last)
            if name is None:
                time.sleep(0.02)
                continue
            last = now
            self.done.append(name)
            time.sleep(EVERY)


@dataclass
class Writer(Caller):
    """Writes a numbered object each 100 ms."""

    run: str = field(default_factory=lambda: f"write-{uuid.uuid4().hex[:8]}")

    def call(self, connection: http.client.HTTPSConnection) -> str | None:
        name = f"{self.run}-{len(self.done)}"
        body = {"metadata": {"name": name}, "data": {"number": name}}
        connection.request("POST", WRITES, json.dumps(body))
        answer = connection.getresponse()
        answer.read()
        # 409: an earlier attempt was carried out, and its answer lost.
        return name if answer.status in (201, 409) else None


class Visitor(Caller):
    """Asks the service `web` of a cluster, through the API."""

    def call(self, connection: http.client.HTTPSConnection) -> str | None:
        connection.request("GET", "/api/v1/namespaces/default/services/web:80/proxy/")
        answer = connection.getresponse()
        answer.read()
        return f"visit-{len(self.done)}" if answer.status == 200 else None


def connect(kubeconfig: Path, folder: Path) -> http.client.HTTPSConnection:
    """A connection to the API, as the user of a kubeconfig. `folder` keeps the certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    own = folder / "own.pem"
    if not own.exists():
        pair = ("client-certificate-data", "client-key-data")
        own.touch(0o600)
        own.write_bytes(b"".join(base64.b64decode(user[name]) for name in pair))
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    context.load_cert_chain(own)
    host, _, port = cluster["server"].removeprefix("https://").partition(":")
    return http.client.HTTPSConnection(host, int(port), timeout=1, context=context)


@contextmanager
def writing_pod(cluster: Cluster, node: str) -> Iterator[None]:
    """A pod on `node` that writes meanwhile. At the end, all that it has written must be there."""
    spec = python_spec(cluster, "-uc", POD_SCRIPT)
    run = f"pod-{uuid.uuid4().hex[:8]}"  # a name of an earlier pod would count as acknowledged
    spec["containers"][0]["env"] = [{"name": "RUN", "value": run}]
    role = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    subject = {"kind": "ServiceAccount", "name": POD, "namespace": "default"}
    rbac = "rbac.authorization.k8s.io"
    apply(
        cluster,
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": POD}},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "Role",
            "metadata": {"name": POD},
            "rules": [role],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": POD},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": POD},
            "subjects": [subject],
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": POD},
            "spec": {"nodeName": node, "serviceAccountName": POD, **spec},
        },
    )
    eventually("the pod writes", lambda: len(_written(cluster)) > 3, seconds=120)
    yield
    before = len(_written(cluster))
    eventually("the pod writes on", lambda: len(_written(cluster)) > before, seconds=DEAD)
    written = _written(cluster)
    cluster.run("delete", "pod", POD, "--now")
    gaps = [later - earlier for (_, earlier), (_, later) in pairwise(written)]
    print(f"the pod: {len(written)} writes, away for {max(gaps):.2f} s at most")
    require(cluster, [name for name, _ in written])


def _written(cluster: Cluster) -> list[tuple[str, float]]:
    """What the pod reports: the names of its writes with their times."""
    lines = cluster.run("logs", POD, check=False).splitlines()
    return [(one, float(at)) for one, at in (line.split() for line in lines)]


def require(cluster: Cluster, acknowledged: list[str]) -> None:
    """Every acknowledged write is there."""
    there = {one["metadata"]["name"] for one in cluster.get("configmaps")["items"]}
    assert set(acknowledged) - there == set()
    assert len(acknowledged) > 10


def serve(cluster: Cluster) -> None:
    """The service `web`, with two pods of which a drain takes one after the other."""
    labels = {"app": "web"}
    spec = python_spec(cluster, "-m", "http.server", "8080", "-d", "/usr/share")
    spec["containers"][0]["readinessProbe"] = {
        "httpGet": {"path": "/", "port": 8080},
        "periodSeconds": 1,
    }
    apply(
        cluster,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        },
    )
    cluster.run("rollout", "status", "deployment/web", "--timeout=90s")


def python_spec(cluster: Cluster, *words: str) -> dict[str, Any]:
    """A pod that runs the Python of its node, in an image that every node has."""
    proxy = cluster.get("daemonset", "kube-proxy", "-n", "kube-system")
    image = proxy["spec"]["template"]["spec"]["containers"][0]["image"]
    folders = {"usr": "/usr", "lib": "/lib", "lib64": "/lib64"}
    return {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "python",
                "image": image,
                "command": ["/usr/bin/python3", *words],
                "volumeMounts": [
                    {"name": name, "mountPath": path, "readOnly": True}
                    for name, path in folders.items()
                ],
            }
        ],
        "volumes": [{"name": name, "hostPath": {"path": path}} for name, path in folders.items()],
    }


def apply(cluster: Cluster, *documents: dict[str, Any]) -> None:
    cluster.run("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))
