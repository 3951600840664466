"""The members of etcd of a plex with several masters, asked and changed on one of its masters.

etcd answers JSON over HTTPS to holders of a certificate, and every master has one. So nothing but
Debian's Python is needed there, and this machine needs no key of etcd and no way to the nodes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from plexctl.errors import PlexError
from plexctl.model.host import Host
from plexctl.model.plex import Node
from plexctl.model.streams import Streams

SAVING = 300
"""Seconds for a snapshot to arrive here."""

PROMOTION = 90
"""Seconds within which a new member must have caught up with the others."""

SCRIPT = """\
import base64, http.client, json, socket, ssl, sys, time, urllib.parse
PKI = "/etc/kubernetes/pki/etcd"
TLS = ssl.create_default_context(cafile=f"{PKI}/ca.crt")
TLS.load_cert_chain(f"{PKI}/healthcheck-client.crt", f"{PKI}/healthcheck-client.key")
def call(path, body=None, host="127.0.0.1", seconds=5):
    connection = http.client.HTTPSConnection(host, 2379, timeout=seconds, context=TLS)
    try:
        connection.request("POST", f"/v3/{path}", json.dumps(body or {}))
        answer = connection.getresponse()
        found = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(str(found.get("message") or answer.status))
    return found
def address(one):
    return urllib.parse.urlsplit((one.get("clientURLs") or one["peerURLs"])[0]).hostname
def status(one):
    try:
        return call("maintenance/status", host=address(one), seconds=1)
    except (OSError, ValueError, http.client.HTTPException):
        return None
def members():
    # Of a member that is cut off from the others this fails: what it knows may be old.
    return call("cluster/member/list", {"linearizable": True})["members"]
def change(path, body):
    # etcd changes its members only when they have been connected for five seconds.
    end = time.monotonic() + 20
    while True:
        try:
            return call(f"cluster/member/{path}", body, seconds=10)
        except OSError as error:
            if "unhealthy cluster" not in str(error) or time.monotonic() > end:
                raise
        time.sleep(0.1)
def named(name):
    return [one for one in members() if one.get("name") == name]
def show():
    found = []
    for one in members():
        state = status(one)
        found.append({"name": one.get("name", ""), "learner": one.get("isLearner", False),
                      "healthy": state is not None and state.get("leader", "0") != "0",
                      "leads": state is not None and state.get("leader") == one["ID"]})
    print(json.dumps(found))
def where(address):
    # The certificate of an API server has the name of its master.
    trust = ssl.create_default_context(cafile="/etc/kubernetes/pki/ca.crt")
    try:
        with socket.create_connection((address, 6443), 1) as plain:
            with trust.wrap_socket(plain, server_hostname=address) as secured:
                names = secured.getpeercert()["subjectAltName"]
    except OSError:
        names = ()
    known = {one.get("name") for one in members()}
    print(json.dumps(next((name for kind, name in names if name in known), "")))
def leave(name):
    for one in named(name):
        state = status(one)
        if state and state.get("leader") == one["ID"]:
            others = [o for o in members() if o["ID"] != one["ID"] and not o.get("isLearner")]
            heir = next((o for o in others if status(o)), None)
            if heir:
                try:
                    call("maintenance/transfer-leadership", {"targetID": heir["ID"]}, address(one))
                except (OSError, ValueError, http.client.HTTPException):
                    pass  # the others elect one a moment later
        change("remove", {"ID": one["ID"]})
def add(name, peer):
    for one in members():
        # What an interrupted run has added never started.
        if not one.get("name") or one["peerURLs"] == [peer]:
            change("remove", {"ID": one["ID"]})
    change("add", {"peerURLs": [peer], "isLearner": True})
    print(json.dumps([one["name"] for one in members() if one.get("name")]))
def promote(name, seconds):
    end, observed = time.monotonic() + float(seconds), "it has not started"
    while time.monotonic() < end:
        try:
            for one in named(name):
                if not one.get("isLearner"):
                    return
                call("cluster/member/promote", {"ID": one["ID"]})
        except (OSError, ValueError, http.client.HTTPException) as error:
            observed = str(error)
        time.sleep(0.05)
    sys.exit(observed)
def save():
    # A member that is cut off from the others cannot answer this. Any other has, after it has
    # answered, all that was written before.
    call("kv/range", {"key": base64.b64encode(b"/registry/health").decode()})
    connection = http.client.HTTPSConnection("127.0.0.1", 2379, timeout=60, context=TLS)
    connection.request("POST", "/v3/maintenance/snapshot", "{}")
    answer = connection.getresponse()
    for line in answer:
        found = json.loads(line)
        if answer.status != 200 or "result" not in found:
            raise OSError(str((found.get("error") or found).get("message", answer.status)))
        print(found["result"].get("blob", ""))  # some hosts pass text on only
    sys.stdout.flush()
try:
    verbs = {"show": show, "where": where, "leave": leave, "add": add, "promote": promote,
             "save": save}
    verbs[sys.argv[1]](*sys.argv[2:])
except (OSError, ValueError, http.client.HTTPException) as error:
    sys.exit(str(error) or type(error).__name__)
"""


@dataclass(frozen=True, slots=True)
class Member:
    name: str  # of its master; empty: it has never started
    healthy: bool
    leads: bool
    learner: bool  # it does not vote yet


@dataclass(frozen=True, slots=True)
class Etcd:
    """etcd of one plex. `masters` are those that may run, in the order in which they are asked."""

    plex: str
    masters: tuple[Node, ...]
    hosts: Mapping[str, Host]

    def without(self, name: str) -> Etcd:
        """The same, asked on another master than `name`."""
        others = tuple(one for one in self.masters if one.name != name)
        return Etcd(self.plex, others, self.hosts)

    def members(self) -> tuple[Member, ...]:
        """All members. PlexError if no master knows them: less than half of the members run."""
        return tuple(
            Member(one["name"], one["healthy"], one["leads"], one["learner"])
            for one in json.loads(self._run("show"))
        )

    def endpoint(self, address: str) -> str:
        """The master that answers at `address`; empty if none does."""
        found: str = json.loads(self._run("where", address))
        return found

    def remove(self, name: str) -> None:
        """Remove the member of a master, after another one leads. It may have none."""
        self.without(name)._run("leave", name)

    def add(self, name: str, peer: str) -> tuple[str, ...]:
        """Add the member of a master, which does not vote yet; the names of the others."""
        found: list[str] = json.loads(self.without(name)._run("add", name, peer))
        return tuple(found)

    def promote(self, name: str) -> None:
        """Wait until a new member has what the others have, and let it vote."""
        self.without(name)._run("promote", name, str(PROMOTION), timeout=PROMOTION + 15)

    def save(self) -> bytes:
        """A snapshot of the contents, as `etcdctl snapshot save` writes it. It holds all Secrets.

        It has everything that was written before this began. PlexError if no master has a healthy
        member, or what arrives is not what etcd has sent.
        """
        failures = list[str]()
        for node in self.masters:
            out, err = io.BytesIO(), io.BytesIO()
            try:
                argv = ("python3", "-ISc", SCRIPT, "save")
                streams = Streams(None, out, err)
                code = self.hosts[node.host].run(node.name, argv, streams, timeout=SAVING)
            except PlexError as error:
                failures.append(f"{node.name}: {error.summary}")
                continue
            content = _joined(out.getvalue())
            if code == 0 and is_snapshot(content):
                return content
            said = _last_line(err.getvalue().decode(errors="replace"))
            failures.append(f"{node.name}: {said if code else 'the snapshot arrived damaged'}")
        raise self._failure(("save",), failures)

    def _run(self, *arguments: str, timeout: float = 40) -> str:
        """The output of SCRIPT on the first master that can run it."""
        failures = list[str]()
        for node in self.masters:
            try:
                argv = ("python3", "-ISc", SCRIPT, *arguments)
                done = self.hosts[node.host].execute(node.name, argv, timeout=timeout)
            except PlexError as error:
                failures.append(f"{node.name}: {error.summary}")
                continue
            if done.code == 0:
                return done.stdout
            failures.append(f"{node.name}: {_last_line(done.stderr)}")
        raise self._failure(arguments, failures)

    def _failure(self, arguments: Sequence[str], failures: Sequence[str]) -> PlexError:
        return PlexError(
            f"etcd of {self.plex} cannot {_purpose(arguments)}",
            details=failures,
            hint="without more than half of its members it changes nothing: start their nodes with "
            f"`plexctl up {self.plex}`; `plexctl replace master` begins a new cluster",
        )


def _purpose(arguments: Sequence[str]) -> str:
    match arguments[0]:
        case "show" | "where":
            return "list its members"
        case "leave":
            return f"remove {arguments[1]}"
        case "save":
            return "save a snapshot"
    return f"{arguments[0]} {arguments[1]}"


def _joined(pieces: bytes) -> bytes:
    """The bytes of lines of base64; none of them if one is damaged."""
    try:
        return b"".join(map(base64.b64decode, pieces.splitlines()))
    except ValueError:
        return b""


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def is_snapshot(content: bytes | memoryview) -> bool:
    """Whether `content` is a whole snapshot: a database, and its SHA-256 as etcd puts it behind."""
    size = len(content) - hashlib.sha256().digest_size
    # A database is a multiple of 512 bytes.
    if size <= 0 or size % 512:
        return False
    return hashlib.sha256(content[:size]).digest() == bytes(content[size:])


def healthy_without(members: Sequence[Member], name: str) -> bool:
    """Whether more than half of the members that vote are healthy once `name` is removed."""
    voters = [one for one in members if not one.learner and one.name != name]
    return 2 * sum(one.healthy for one in voters) > len(voters)


def faults(members: Sequence[Member], masters: Sequence[Node]) -> Iterator[str]:
    """What is wrong with the members, in view of the masters that there should be."""
    known = {one.name: one for one in members}
    for master in masters:
        if master.name not in known:
            yield f"{master.name} is not a member of etcd"
        elif not known[master.name].healthy:
            yield f"etcd of {master.name} does not answer"
