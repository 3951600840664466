"""The engine `tofu` on the nodes of a Proxmox cluster, as `provision.tofu` is it on Incus hosts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from plexctl.clients.proxmox import ProxmoxVE
from plexctl.clients.tofu import Event, PlannedChange, Tofu
from plexctl.errors import PlexError, UnreachableHostError
from plexctl.model.events import Reporter
from plexctl.model.files import write_changed
from plexctl.model.hosts import Host
from plexctl.model.observed import HostState
from plexctl.model.secret import Secret
from plexctl.plan.proxmox import seed_of
from plexctl.plan.resources import Instance, Resource
from plexctl.provision.direct import LEAVING, DirectEngine
from plexctl.provision.encryption import Key, encrypted
from plexctl.provision.engine import Action, Change, Wishes
from plexctl.provision.tfvars import tags_of
from plexctl.provision.tfvars_proxmox import (
    KIND,
    address,
    addresses,
    imports,
    proxmox_tfvars,
    seed_address,
    seed_file,
    settings,
    triggers,
)
from plexctl.provision.tofu_clearing import held
from plexctl.provision.tofu_folder import TofuFolder

NOWHERE = "/nonexistent"


@dataclass(frozen=True, slots=True)
class Server:
    """What the provider needs to speak with the cluster."""

    certificate: Path  # the one that the server shows, in PEM: nothing else is trusted
    secret: Callable[[], Secret]  # of the API token


@dataclass(frozen=True, slots=True)
class ProxmoxTofuEngine:
    """Of one plex, whose hosts are nodes of one Proxmox cluster."""

    plex: str
    program: Path
    modules: Path  # the folder `terraform` of plexctl
    folder: TofuFolder
    server: Server
    key: Key  # of the state
    by_hand: Sequence[str]  # the command that tells it to those who call OpenTofu themselves
    hosts: Mapping[str, Host]
    direct: DirectEngine = field(repr=False)

    def read(self, hosts: Iterable[str]) -> dict[str, HostState]:
        return self.direct.read(hosts)

    def diff(
        self, resources: Sequence[Resource], states: dict[str, HostState], wishes: Wishes
    ) -> tuple[Change, ...]:
        return self.direct.diff(resources, states, wishes)

    def preview(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        reporter: Reporter,
        *,
        shown: bool,
    ) -> tuple[tuple[PlannedChange, ...], str]:
        """What OpenTofu would do, and if it is to be `shown`, as it says it itself.

        Only its folder is changed.
        """
        vms = _answering(wanted, states)
        with self._tofu(vms) as tofu:
            self._write(vms, changes, states, "plan", tofu)
            known = self._known(tofu, reporter)
            going = {c.name for c in changes if c.resource is None}
            leaving = {a for a in known if a.rpartition('["')[2].removesuffix('"]') in going}
            known = _forget(tofu, known, addresses(vms) | leaving)
            if blocks := self._imports(vms, changes, states, known):
                takes = tuple(PlannedChange(one["to"], "import", "exists") for one in blocks)
                return takes, "What exists is taken over first; then there is a plan."
            planned = tofu.plan()
            return planned, tofu.shown_plan() if shown else ""

    def apply(
        self,
        wanted: Sequence[Resource],
        changes: Sequence[Change],
        states: dict[str, HostState],
        run: str,
        reporter: Reporter,
        before_start: Callable[[Instance], None],
    ) -> None:
        """Hosts that do not answer are left out, and OpenTofu forgets what they have.

        What is not wanted is deleted as `direct` does it: with nothing wanted, that is all.
        """
        vms = _answering(wanted, states)
        if not vms:
            self.direct.apply((), changes, states, run, reporter, before_start)
            return
        try:
            with self._tofu(vms) as tofu:
                known = self._known(tofu, reporter)
                changes, states = self._cleared(vms, changes, states, known, run, reporter)
                _require_templates(changes, states)
                known = _forget(tofu, known, addresses(vms))
                self._write(vms, changes, states, run, tofu)
                self._adopt(tofu, vms, changes, states, known)
                _make(tofu, vms, changes, reporter, before_start)
        except UnreachableHostError:
            raise
        except PlexError as error:
            self._tell_silent(vms, error)
            raise

    @contextmanager
    def _tofu(self, vms: Sequence[Instance]) -> Iterator[Tofu]:
        """OpenTofu in its folder. The token's secret is in a file without a name that it has."""
        parallel = sum(self.hosts[name].parallel for name in {vm.host for vm in vms}) or 4
        folder = self.folder
        folder.open()
        environment = {"SSL_CERT_FILE": str(self.server.certificate), "SSL_CERT_DIR": NOWHERE}
        with (
            encrypted(folder.root, self.key, self.program, self.by_hand) as key,
            _unnamed(self.server.secret()) as secret,
        ):
            environment["TF_VAR_token_file"] = f"/proc/self/fd/{secret}"
            tofu = Tofu(self.program, folder.root, parallel, key, (secret,), environment)
            try:
                yield tofu
            finally:
                tofu.drop_plan()
                folder.drop_imports()

    def _known(self, tofu: Tofu, reporter: Reporter) -> frozenset[str]:
        """What is in the state. One that cannot be read is dropped: the hosts have what counts."""
        try:
            return tofu.addresses()
        except PlexError as error:
            with reporter.step("take over what the hosts have") as step:
                step.progress(error.summary)
                self.folder.drop_state()
            return frozenset()

    def _write(
        self,
        vms: Sequence[Instance],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        run: str,
        tofu: Tofu,
    ) -> None:
        """The folder as it is to be.

        Seeds stay in it: the provider looks at their files whenever it looks at the volumes.
        """
        used = {vm.host for vm in vms}
        seeds = self.folder.path / "seeds"
        variables: dict[str, Any] = proxmox_tfvars(
            self.plex,
            vms,
            {name: host for name, host in self.hosts.items() if name in used},
            tags_of(vms, changes, states, run),
            states,
            seeds=seeds,
        )
        # Providers come from where the machine trusts, not from the cluster.
        self.folder.write(self.modules, variables, replace(tofu, environment={}, files=()))
        seeds.mkdir(exist_ok=True, mode=0o700)
        wanted = {seed_file(vm, seeds): vm for vm in vms}
        for file in set(seeds.iterdir()) - wanted.keys():
            file.unlink()
        for file, vm in wanted.items():
            write_changed(file, seed_of(vm), 0o600)

    def _cleared(
        self,
        vms: Sequence[Instance],
        changes: Sequence[Change],
        states: dict[str, HostState],
        known: frozenset[str],
        run: str,
        reporter: Reporter,
    ) -> tuple[tuple[Change, ...], dict[str, HostState]]:
        """Delete what OpenTofu cannot: what is left to do then, and what is there then."""
        asked = frozenset(c.key for c in changes if c.action is Action.REPLACE)
        gone = [c for c in changes if c.resource is None]
        gone += _in_the_way(vms, changes, states, known)
        if not gone:
            return tuple(changes), states
        self.direct.apply((), gone, states, run, reporter, lambda _: None)
        lost = {c.key for c in gone}
        left = {
            name: replace(
                state,
                instances={
                    n: one
                    for n, one in state.instances.items()
                    if f"instance/{name}/{n}" not in lost
                },
            )
            for name, state in states.items()
        }
        found = self.direct.diff(vms, left, Wishes(vms[0].owner, asked))
        return tuple(c for c in found if c.resource is not None), left

    def _adopt(
        self,
        tofu: Tofu,
        vms: Sequence[Instance],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        known: frozenset[str],
    ) -> None:
        """Have OpenTofu take over what the hosts have and its state has not.

        First what decides whether a VM is made anew: it would be, if that came with it.
        """
        making = _making(changes)
        targets = [t for vm in vms if vm.key not in making for t in triggers(vm) if t not in known]
        if targets and tofu.plan(targets=targets):
            tofu.apply_plan(lambda _: None)
        if blocks := self._imports(vms, changes, states, known):
            self.folder.write_imports(blocks)

    def _imports(
        self,
        vms: Sequence[Instance],
        changes: Sequence[Change],
        states: Mapping[str, HostState],
        known: frozenset[str],
    ) -> list[dict[str, str]]:
        """Of what the hosts have as it is wanted, and OpenTofu does not know."""
        making = _making(changes)
        strange = [
            vm
            for vm in vms
            if vm.key not in making
            and vm.name in states[vm.host].instances
            and states[vm.host].instances[vm.name].started
            and not {address(vm), seed_address(vm)} <= known
        ]
        found: list[dict[str, str]] = []
        for name in sorted({vm.host for vm in strange}):
            server, host = cast(ProxmoxVE, self.direct.hosts[name]), self.hosts[name]
            numbers = {guest.name: guest.vmid for guest in server.guests() if guest.ours}
            volumes = server.volumes(settings(host).iso)
            for vm in strange:
                if vm.host == name:
                    found += imports(vm, host, known, numbers[vm.name], volumes)
        return found

    def _tell_silent(self, vms: Sequence[Instance], error: PlexError) -> None:
        """UnreachableHostError if a host fell silent meanwhile: OpenTofu says it in many words."""
        for state in self.read({vm.host for vm in vms}).values():
            if state.silence:
                raise UnreachableHostError(
                    state.silence.summary, details=(error.summary,), hint=state.silence.hint
                ) from error


@contextmanager
def _unnamed(secret: Secret) -> Iterator[int]:
    file = os.memfd_create("plexctl")
    try:
        os.write(file, secret.reveal())
        yield file
    finally:
        os.close(file)


def _answering(wanted: Sequence[Resource], states: Mapping[str, HostState]) -> tuple[Instance, ...]:
    """All that is wanted of Proxmox hosts are instances."""
    return tuple(
        one for one in wanted if isinstance(one, Instance) and states[one.host].silence is None
    )


def _making(changes: Sequence[Change]) -> frozenset[str]:
    return frozenset(c.key for c in changes if c.action in (Action.CREATE, *LEAVING))


def _in_the_way(
    vms: Sequence[Instance],
    changes: Sequence[Change],
    states: Mapping[str, HostState],
    known: frozenset[str],
) -> Iterator[Change]:
    """VMs that have to be deleted before OpenTofu begins.

    One that it does not know and that is not as it should be would keep its name. If it does not
    run, a provider that was killed may not have done with it.
    """
    why = {c.key: c.reason for c in changes if c.action in (Action.REPLACE, Action.START)}
    anew = {c.key for c in changes if c.action is Action.REPLACE}
    for vm in vms:
        if vm.key not in why or vm.name not in states[vm.host].instances:
            continue
        # A new master that is made first: OpenTofu would leave its old workers until later.
        early = vm.parent is not None and vm.key in anew and held(changes) is not None
        if address(vm) not in known or early:
            yield Change(Action.DELETE, vm.host, "instance", vm.name, why[vm.key], None)


def _require_templates(changes: Sequence[Change], states: Mapping[str, HostState]) -> None:
    for change in changes:
        vm = change.resource
        if change.key not in _making((change,)) or not isinstance(vm, Instance):
            continue
        if states[vm.host].image(vm.image) is None:
            raise PlexError(
                f"host {vm.host} has no template {vm.image}", hint="bake it: `plexctl bake`"
            )


def _make(
    tofu: Tofu,
    vms: Sequence[Instance],
    changes: Sequence[Change],
    reporter: Reporter,
    before_start: Callable[[Instance], None],
) -> None:
    """All that OpenTofu finds to do; the master first where many workers come with it."""
    told = _Told(reporter)
    if last := held(changes):
        masters = [vm for vm in vms if vm.parent is None]
        if tofu.plan(targets=[one for vm in masters for one in sorted(addresses((vm,)))]):
            tofu.apply_plan(told.hear)
        before_start(last)
    if tofu.plan():
        tofu.apply_plan(told.hear)


def _forget(tofu: Tofu, known: frozenset[str], kept: frozenset[str]) -> frozenset[str]:
    """Have the state without all but `kept`: what is deleted, or on hosts that do not answer."""
    tofu.forget(sorted(known - kept))
    return known & kept


@dataclass(frozen=True, slots=True)
class _Told:
    """What OpenTofu tells, as this run's own progress."""

    reporter: Reporter

    def hear(self, event: Event) -> None:
        if event.get("type") != "apply_complete":
            return
        hook = event["hook"]
        resource = hook["resource"]
        if resource["resource_type"] == KIND and hook["action"] == "create":
            for what in ("created", "pushed", "started", "agent"):
                self.reporter.mark(str(resource["resource_key"]), what)
