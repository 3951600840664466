"""The verbs on hosts: list, add and remove."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from plexctl.bake.place import baking_host
from plexctl.clients.incus.trust import Token
from plexctl.config.load import load_lab
from plexctl.depot.pins import load_pins
from plexctl.errors import PlexError, UnreachableHostError, UsageError
from plexctl.keys.seed import RootSeed
from plexctl.model.events import Event, Noted
from plexctl.model.host_spec import HostFacts, HostSpec
from plexctl.model.nodes import nodes
from plexctl.model.observed import HostState, ObservedInstance
from plexctl.model.secret import Secret
from plexctl.provision.direct.engine import DirectEngine
from plexctl.render import host_text
from plexctl.workflow.core.context import Context
from plexctl.workflow.core.unreachable import on_reachable_hosts, raise_if_unreachable
from plexctl.workflow.host import incus as onboarding
from plexctl.workflow.host import verbs as hosts
from plexctl.workflow.host.incus import add_incus
from plexctl.workflow.plex.status import list_plexes
from tests.fake_incus import FakeIncus

FILE = """\
# Mine.
hosts:
  local: {address: 10.0.0.5}
  far:
    url: https://10.0.0.7:8443
    certificate: abababababababababababababababababababababababababababababababab
    facts: {cgroup: 2, cpus: 8, memory: 64GiB}
"""
UNREACHABLE = UnreachableHostError("host far: Incus does not answer", details=("timed out",))
KNOWN = "cd" * 32
FOUND = HostFacts(2, True, 16, 32 << 30)


SEED = RootSeed(Secret(b"s" * 32))


def client(spec: HostSpec, pools: tuple[str, ...] = ("default",)) -> FakeIncus:
    """A host with one instance of the lab, one of another lab, and one of nobody's."""
    tags: tuple[dict[str, str], ...] = ({"lab": SEED.lab_id}, {"lab": "another"}, {})
    found = {
        name: ObservedInstance(name, "Running", owner, True, "f", "u")
        for name, owner in zip(("demo1", "b", "c"), tags, strict=True)
    }
    incus = FakeIncus(spec, HostState(spec.name, found, {}, {}, ()))
    incus.pool_names = pools
    return incus


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    """Two hosts, of which the one that is another machine does not answer."""
    root = tmp_path / "lab"
    plex = root / "clusters" / "demo" / "plex.yaml"
    plex.parent.mkdir(parents=True)
    plex.write_text("hosts: [local, far]\nworkers: 3\n")
    (root / "clusters" / "hosts.yaml").write_text(FILE)
    pins = load_pins()
    lab = load_lab(root, pins.versions())
    clients = {name: client(host) for name, host in lab.hosts.items()}
    clients["far"].down = UNREACHABLE
    return Context(lab, SEED, pins, clients, DirectEngine(clients), tmp_path, lambda _: None)


def test_list_shows_unreachable_and_reachable_hosts(ctx: Context) -> None:
    result = hosts.list_hosts(ctx)
    local, far = result.hosts

    assert not result.healthy
    assert (local.unreachable, local.instances, local.endpoint) == (
        None,
        1,
        "/var/lib/incus/unix.socket",
    )
    assert (far.unreachable, far.instances) == ("host far: Incus does not answer: timed out", None)
    assert host_text.hosts(result) == (
        "HOST   KIND   VERSION  ENDPOINT                    CPUS  MEMORY    INSTANCES\n"
        "local  incus  6.0.4    /var/lib/incus/unix.socket  2     8.0 GiB   1\n"
        "far    incus  ?        https://10.0.0.7:8443       8     64.0 GiB  ?\n"
        "\n"
        "host far: Incus does not answer: timed out"
    )
    assert (far.endpoint, far.cpus, far.memory) == ("https://10.0.0.7:8443", 8, 64 << 30)


def test_list_shows_a_clock_that_differs(ctx: Context) -> None:
    for name, incus in ctx.hosts.items():
        assert isinstance(incus, FakeIncus)
        incus.down = None
        incus.clock_difference = {"local": 299.0, "far": -3601.0}[name]
    result = hosts.list_hosts(ctx)

    assert [row.note for row in result.hosts] == [
        "",
        "the clock of host far is 60 minutes behind this machine's",
    ]
    assert host_text.hosts(result).splitlines()[-2:] == [
        "note: the clock of host far is 60 minutes behind this machine's",
        "2 hosts: all reachable",
    ]


def test_a_host_that_refuses_to_list_its_objects_is_reported_too(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a Proxmox host does whose token is wrong."""
    refusal = PlexError("host local refuses the API token")

    def facts(host: FakeIncus) -> HostFacts:
        if host.name == "local":
            raise refusal
        return FOUND

    monkeypatch.setattr(FakeIncus, "facts", facts)
    local, far = hosts.list_hosts(ctx).hosts
    assert (local.unreachable, local.instances) == (refusal.summary, None)
    assert far.cpus == FOUND.cpus


def test_changes_left_for_the_next_run_are_reported(ctx: Context) -> None:

    members = nodes(ctx.lab.plexes["demo"])
    assert [node.name for node in on_reachable_hosts(ctx, members)] == ["demo1", "demo3"]
    with pytest.raises(UnreachableHostError) as error:
        raise_if_unreachable(ctx, members)
    assert error.value.summary == "host far: Incus does not answer"
    assert error.value.details == ("not changed: demo2, demo4", "everything else is done")
    assert error.value.hint == "when the host answers again: `plexctl up`"
    raise_if_unreachable(ctx, members[:1])  # what is not on it is not concerned


def test_the_list_of_plexes_names_unreachable_hosts(ctx: Context) -> None:
    result = list_plexes(ctx)
    assert result.unreachable == ("host far: Incus does not answer: timed out",)
    assert [(row.running, row.nodes) for row in result.plexes] == [(1, 4)]


def test_only_a_host_that_no_plex_uses_is_removed(ctx: Context) -> None:
    file = ctx.lab.root / "clusters" / "hosts.yaml"
    with pytest.raises(UsageError, match="host far is in use by plex demo"):
        hosts.remove(ctx, "far")
    with pytest.raises(UsageError, match="the lab has no host nowhere"):
        hosts.remove(ctx, "nowhere")
    without = replace(ctx, lab=replace(ctx.lab, plexes={}))
    token = ctx.lab.root / "clusters" / "hosts" / "far.token.age"
    token.parent.mkdir()
    token.write_text("of no use any more")

    removed = hosts.remove(without, "far")

    assert (removed.changed, removed.message) == (True, "host far is removed from the lab")
    assert not token.exists()

    assert file.read_text() == "# Mine.\nhosts:\n  local: {address: 10.0.0.5}\n"
    assert not hosts.remove(without, "far").changed
    alone = replace(without, lab=replace(without.lab, hosts={"far": ctx.lab.hosts["far"]}))
    with pytest.raises(UsageError, match="the last host of the lab"):
        hosts.remove(alone, "far")


def test_objects_left_on_a_removed_host_are_reported(ctx: Context) -> None:
    answering = {name: client(host) for name, host in ctx.lab.hosts.items()}
    without = replace(ctx, hosts=answering, lab=replace(ctx.lab, plexes={}))
    text = "host far is removed from the lab; 1 instance of the lab stays on it"
    assert hosts.remove(without, "far").message == text


@dataclass
class Meeting:
    """A stand-in for the server that `add_host` calls."""

    monkeypatch: pytest.MonkeyPatch
    trusted: bool = False
    pools: tuple[str, ...] = ("default",)
    clock_difference: float = 0.0
    facts: HostFacts = FOUND

    def __post_init__(self) -> None:
        self.monkeypatch.setattr(onboarding, "introduce", lambda *_: KNOWN)
        self.monkeypatch.setattr(onboarding, "read_token", lambda text: Token(KNOWN, text))
        self.monkeypatch.setattr(onboarding, "known", lambda *_: self.trusted)
        self.monkeypatch.setattr(onboarding, "_facts", lambda *_: self.facts)
        self.monkeypatch.setattr(onboarding, "IncusHost", self.client)

    def client(self, spec: HostSpec, _: object) -> FakeIncus:
        incus = client(spec, self.pools)
        incus.clock_difference = self.clock_difference
        return incus


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> Meeting:
    return Meeting(monkeypatch)


@pytest.mark.parametrize(("seconds", "minutes"), [(200.0, None), (1200.0, 20)])
def test_a_host_with_another_time_is_added_with_a_note(
    ctx: Context, meeting: Meeting, seconds: float, minutes: int | None
) -> None:
    meeting.clock_difference = seconds
    events: list[Event] = []
    add_incus(replace(ctx, listener=events.append), "third", "10.0.0.8", token=Secret(b"t"))
    notes = [event.text for event in events if isinstance(event, Noted)]
    expected = f"the clock of host third is {minutes} minutes ahead of this machine's"
    assert notes == ([expected] if minutes else [])


def test_a_host_is_added_and_a_second_time_unchanged(ctx: Context, meeting: Meeting) -> None:
    first = add_incus(ctx, "third", "10.0.0.8", token=Secret(b"t"))
    assert (first.changed, first.message) == (True, "host third is at https://10.0.0.8:8443")
    file = ctx.lab.root / "clusters" / "hosts.yaml"
    assert file.read_text() == FILE + (
        "  third:\n"
        "    kind: incus\n"
        "    url: https://10.0.0.8:8443\n"
        f"    certificate: {KNOWN}\n"
        "    pool: default\n"
        "    facts: {cgroup: 2, sys_resource: true, cpus: 16, memory: 32768MiB}\n"
    )
    meeting.trusted = True
    again = add_incus(ctx, "third", "10.0.0.8", token=None, certificate=KNOWN)
    assert not again.changed
    assert load_lab(ctx.lab.root, ctx.pins.versions()).hosts["third"].facts == meeting.facts


@pytest.mark.parametrize(
    ("name", "url", "bridge", "said"),
    [
        ("Third_1", "10.0.0.8", None, "'Third_1' is not a valid name"),
        ("third", "10.0.0.8", "a bridge", "'a bridge' is not the name of a network interface"),
        ("third", "10.0.0.7", None, "the lab already has https://10.0.0.7:8443, as host far"),
        ("far", "10.0.0.8", None, "the lab already has a host far: https://10.0.0.7:8443"),
        ("local", "10.0.0.8", None, "the lab already has a host local: this machine"),
    ],
)
def test_a_host_that_hosts_yaml_does_not_allow_is_refused(
    ctx: Context, meeting: Meeting, name: str, url: str, bridge: str | None, said: str
) -> None:
    with pytest.raises(UsageError) as error:
        add_incus(ctx, name, url, token=Secret(b"t"), bridge=bridge)
    assert error.value.summary == said
    assert (ctx.lab.root / "clusters" / "hosts.yaml").read_text() == FILE


def test_adding_a_host_again_keeps_its_other_fields_in_hosts_yaml(
    ctx: Context, meeting: Meeting
) -> None:
    """A server that was reinstalled has another certificate, one that moved has another URL."""
    file = ctx.lab.root / "clusters" / "hosts.yaml"
    file.write_text(FILE.replace("    facts", "    pool: fast\n    parallel: 9\n    facts"))
    meeting.pools = ("default", "fast")

    def host() -> HostSpec:
        return load_lab(ctx.lab.root, ctx.pins.versions()).hosts["far"]

    later = replace(ctx, lab=replace(ctx.lab, hosts={**ctx.lab.hosts, "far": host()}))
    assert add_incus(later, "far", "10.0.0.7", token=Secret(b"t")).changed
    assert (host().certificate, host().pool, host().parallel) == (KNOWN, "fast", 9)

    moved = replace(ctx, lab=replace(ctx.lab, hosts={**ctx.lab.hosts, "far": host()}))
    assert add_incus(moved, "far", "10.0.0.9", token=Secret(b"t")).changed
    assert (host().url, host().pool) == ("https://10.0.0.9:8443", "fast")


def test_a_server_that_does_not_trust_the_lab_is_not_added(ctx: Context, meeting: Meeting) -> None:
    with pytest.raises(PlexError) as error:
        add_incus(ctx, "third", "10.0.0.8", token=None, certificate=KNOWN)
    assert error.value.summary == "https://10.0.0.8:8443 does not trust this lab"
    assert (ctx.lab.root / "clusters" / "hosts.yaml").read_text() == FILE


def test_a_server_without_the_pool_is_not_added(ctx: Context, meeting: Meeting) -> None:
    meeting.pools = ("fast", "slow")
    with pytest.raises(PlexError) as error:
        add_incus(ctx, "third", "10.0.0.8", token=Secret(b"t"))
    assert error.value.summary == "https://10.0.0.8:8443 has no storage pool default"
    assert error.value.details == ("it has fast, slow",)
    assert (ctx.lab.root / "clusters" / "hosts.yaml").read_text() == FILE


def test_a_host_of_this_machine_bakes_for_the_others(ctx: Context) -> None:
    there = ctx.lab.hosts
    assert baking_host(there, there["local"]) == baking_host(there, there["far"]) == "local"
    with pytest.raises(PlexError) as error:
        baking_host({"far": there["far"]}, there["far"])
    assert error.value.summary == (
        "no host can bake for host far: no host of the lab is this machine"
    )
    assert "`local: {}`" in str(error.value.hint)
