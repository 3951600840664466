"""DNS of a cluster, queried on its nodes through the service, as their pods do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.condition import Observation
from plexctl.model.host import Host
from plexctl.model.plex import Node, Plex

ONCE = 10
"""Seconds for which one call asks: its program repeats the query until it is answered."""

AGAIN = 0.5
"""Seconds between two calls for the same node."""

PROXY = 10256
"""The port at which kube-proxy reports its health. Before it is open, a query would leave the plex:
the address of a service is not yet replaced."""

SCRIPT = """\
import socket, sys, time
server, name, address, port, seconds = sys.argv[1:]
labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
question = b"\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + labels + b"\\0\\0\\1\\0\\1"
def proxy_runs():
    try:
        socket.create_connection(("127.0.0.1", int(port)), 0.2).close()
    except OSError:
        return False
    return True
def query():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect((server, 53))
        client.send(b"px" + question)
        return client.recv(4096)
end, seen = time.monotonic() + float(seconds), "kube-proxy does not run"
while time.monotonic() < end:
    if port == "0" or proxy_runs():
        try:
            answer = query()
            if socket.inet_aton(address) in answer[2 + len(question):]:
                sys.exit(0)
            seen = f"{server} does not know {name} (code {answer[3] & 15})"
        except OSError as error:
            seen = f"{server} does not answer: {error}"
    time.sleep(0.1)
sys.exit(seen)
"""
"""Each query has a port of its own: connection tracking would send a repeated one the same way.

With nothing but Python's standard library, which Ansible needs on every node anyway.
"""


@dataclass(slots=True)
class DnsQueries:
    """Queries on all of `nodes`, at the same time. They begin with the first `observe`.

    A name of the cluster is looked up: CoreDNS can be available and not know the cluster's domain.
    """

    plex: Plex
    nodes: Sequence[Node]
    hosts: Mapping[str, Host]
    seconds: float  # after which no query begins any more
    _left: dict[str, str] = field(default_factory=dict)  # node -> what it has observed last
    _end: float | None = None

    def observe(self) -> Observation:
        """Whether DNS has answered on every node."""
        if self._end is None:
            self._end = time.monotonic() + self.seconds
            self._left = {node.name: "not queried yet" for node in self.nodes}
            self._begin()
        left = sorted(dict(self._left).items())
        return Observation(not left, "; ".join(f"{name}: {seen}" for name, seen in left[:4]))

    def _begin(self) -> None:
        """Threads that end with the process: it does not wait for a query when it is stopped."""
        for host in {node.host for node in self.nodes}:
            waiting = [node for node in self.nodes if node.host == host]
            for _ in range(min(self.hosts[host].spec.parallel, len(waiting))):
                work = (waiting, self._end or 0.0)
                threading.Thread(target=self._work, args=work, daemon=True).start()

    def _work(self, waiting: list[Node], end: float) -> None:
        while time.monotonic() < end:
            try:
                node = waiting.pop(0)
            except IndexError:
                return
            self._query(node)
            if node.name in self._left:
                waiting.append(node)

    def _query(self, node: Node) -> None:
        try:
            done = self.hosts[node.host].execute(node.name, self.command(), timeout=ONCE + 5)
        except UnreachableHostError:  # the run leaves out its nodes, and reports it at its end
            del self._left[node.name]
            return
        except PlexError as error:
            self._left[node.name] = error.summary
        else:
            if done.code == 0:
                del self._left[node.name]
                return
            self._left[node.name] = done.stderr.strip().rpartition("\n")[2]
        time.sleep(AGAIN)

    def command(self) -> tuple[str, ...]:
        """The program that a node runs. It ends with 0 as soon as DNS knows the API's service."""
        networks = self.plex.networks
        own_port = "healthzBindAddress" in json.loads(self.plex.proxy)
        return (
            "python3",
            "-ISc",
            SCRIPT,
            str(networks.dns_service),
            f"kubernetes.default.svc.{self.plex.domain}",
            str(networks.api_service),
            "0" if own_port else str(PROXY),
            str(ONCE),
        )
