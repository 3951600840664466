"""A command is timed from outside: by what the API of its cluster says, not by what it says."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plexctl.errors import PlexError
from plexctl.model.condition import Condition, Observation, wait
from tests.bench.api import Api, NoAnswerError
from tests.bench.machine import Usage, usage

DEADLINE, PER_NODE = 300.0, 10.0
"""Seconds that a command may take, and what each worker adds to them."""
BIG = 16
"""Workers of a cluster that is looked at with some care."""
ASK_DNS = Path(__file__).with_name("ask_dns.py")
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "bench"},
    "spec": {
        "containers": [
            {"name": "pause", "image": "registry.k8s.io/pause:3.10.2", "imagePullPolicy": "Never"}
        ],
    },
}
MIRROR = "kubernetes.io/config.mirror"
"""The annotation of pods that kubelet has from a file."""
PODS = "/api/v1/namespaces/default/pods"


@dataclass(slots=True)
class Cluster:
    """A cluster as it is seen from outside."""

    name: str  # its nodes are called so, with a number from 1 on
    kubeconfig: Path
    folder: Path  # for keys and logs
    workers: int  # that it is to have
    masters: int = 1
    _api: Api | None = None

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset(f"{self.name}{number}" for number in range(1, 1 + self.size))

    @property
    def last(self) -> str:
        return f"{self.name}{self.size}"

    @property
    def size(self) -> int:
        return self.masters + self.workers

    @property
    def look(self) -> float:
        """Seconds between two looks, on both sides: an instant is seen late by this at most.

        A list of many nodes costs the master something.
        """
        return 0.1 if self.workers < BIG else 0.25

    @property
    def deadline(self) -> float:
        return DEADLINE + PER_NODE * self.workers

    @property
    def api(self) -> Api:
        """NoAnswerError while there is no kubeconfig."""
        if self._api is None:
            if not self.kubeconfig.exists():
                raise NoAnswerError("there is no kubeconfig yet")
            patience = 2.0 if self.workers < BIG else 5.0
            self._api = Api(self.kubeconfig, self.folder, patience)
        return self._api

    def forget(self) -> None:
        """The next cluster has another kubeconfig, which its maker writes when it is time."""
        self.kubeconfig.unlink(missing_ok=True)
        self._api = None

    def ready(self) -> dict[str, str]:
        """UIDs of the nodes that are Ready, by name: one list, from what the API has at hand."""
        return {
            node["metadata"]["name"]: node["metadata"]["uid"]
            for node in self.api.get("/api/v1/nodes?resourceVersion=0")["items"]
            for condition in node["status"].get("conditions", ())
            if condition["type"] == "Ready" and condition["status"] == "True"
        }

    def runs_pods(self) -> bool:
        """Whether a container runs of a pod that kubelet has from the API, not from a file."""
        return any(
            "running" in container["state"]
            for pod in self.api.get("/api/v1/pods?resourceVersion=0")["items"]
            if MIRROR not in pod["metadata"].get("annotations", {})
            for container in pod["status"].get("containerStatuses", ())
        )

    def version(self) -> str:
        return str(self.api.get("/version")["gitVersion"])

    def service(self, namespace: str, name: str) -> str:
        """A service's address."""
        path = f"/api/v1/namespaces/{namespace}/services/{name}"
        return str(self.api.get(path)["spec"]["clusterIP"])


class DnsFromPod:
    """A pod that nothing but a pause runs in, and a question from its network namespace."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._uid = ""
        self._asking: subprocess.Popen[bytes] | None = None

    def answered(self) -> Observation:
        """Go as far as the cluster is; PlexError if DNS never answered."""
        if self._asking is not None:
            code = self._asking.poll()
            if code:
                said = self._asking.communicate()[1].decode().strip()
                raise PlexError(f"DNS does not answer from a pod: {said}")
            return Observation(code == 0, "DNS does not answer the pod yet")
        api = self._cluster.api
        if not self._uid:
            self._uid = api.create(PODS, POD)["metadata"]["uid"]
        node = api.get(f"{PODS}/bench")["spec"].get("nodeName")
        if node:
            self._asking = self._ask(node)
        return Observation(False, f"the pod is on {node}" if node else "the pod has no node yet")

    def _ask(self, node: str) -> subprocess.Popen[bytes]:
        server = self._cluster.service("kube-system", "kube-dns")
        right = self._cluster.service("default", "kubernetes")
        name = "kubernetes.default.svc.cluster.local"
        words = ["incus", "exec", node, "--", "python3", "-", server, name, right, self._uid]
        with ASK_DNS.open("rb") as script:
            return subprocess.Popen(
                words,
                stdin=script,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )

    def close(self) -> None:
        if self._asking is not None:
            _end(self._asking)
        if self._uid:
            try:
                self._cluster.api.delete(f"{PODS}/bench")
            except NoAnswerError:
                return  # it goes with its cluster


@dataclass(slots=True)
class Observed:
    """The observations so far; seconds since the command was launched."""

    instants: dict[str, float] = field(default_factory=dict)  # "ready", "container", "dns"
    used: dict[str, Usage] = field(default_factory=dict)  # until then, of the whole machine


def observe(
    observed: Observed,
    command: Sequence[str],
    cluster: Cluster,
    environment: Mapping[str, str],
    *,
    old: frozenset[str] = frozenset(),
    also: Collection[str] = (),
) -> None:
    """Launch `command` and fill `observed` until all nodes are Ready, and all of `also` is there.

    That may be "container", the first that runs of a pod, and "dns", which answers a pod.
    `environment` is added to this process'. Nodes whose UIDs are in `old` do not count: they are
    those to be replaced. PlexError if the command fails, or what is waited for does not come;
    `observed` has what came before.
    """
    log = cluster.folder / "log"
    from_pod = DnsFromPod(cluster) if "dns" in also else None
    with log.open("wb") as output:
        nodes = cluster.nodes
        before, began = usage(), time.monotonic()
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt from the keyboard is for the bench
        )

        def ready() -> Observation:
            found = cluster.ready()
            if found.keys() != nodes or old & set(found.values()):
                return Observation(False, f"Ready: {_few(found) or 'none'}")
            return Observation(True)

        def container() -> Observation:
            return Observation(cluster.runs_pods(), "no container of a pod runs")

        goals = {"ready": ready}
        if "container" in also:
            goals["container"] = container
        if from_pod:
            goals["dns"] = from_pod.answered

        def look() -> Observation:
            if process.poll():
                raise _failed(command, process.returncode, log)
            open_goals = [name for name in goals if name not in observed.instants]
            seen = []
            for name in open_goals:
                try:
                    found = goals[name]()
                except NoAnswerError as error:
                    found = Observation(False, str(error))
                if found.holds:
                    observed.instants[name] = time.monotonic() - began
                    observed.used[name] = usage().since(before)
                else:
                    seen.append(found.what)
            return Observation(not seen, "; ".join(seen))

        try:
            wait(Condition(_shown(command), look, cluster.deadline, every=cluster.look))
            if process.wait(cluster.deadline):
                raise _failed(command, process.returncode, log)
        except subprocess.TimeoutExpired as error:
            raise PlexError(f"{_shown(command)} did not end") from error
        finally:
            _end(process)
            if from_pod is not None:
                from_pod.close()


def _few(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(found) if len(found) < BIG else f"{len(found)} nodes"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that goes on, and those that it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _failed(command: Sequence[str], code: int, log: Path) -> PlexError:
    last = log.read_text(errors="replace").splitlines()[-12:]
    return PlexError(f"{_shown(command)} failed with code {code}", details=tuple(last))


def _shown(command: Sequence[str]) -> str:
    return shlex.join([Path(command[0]).name, *command[1:]])
