"""The commands of plexctl by name, and the module of each: it is imported when the command runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from plexctl.cli.lazy import lazy_imports
from plexctl.errors import visible_line


@dataclass(frozen=True, slots=True)
class Verb:
    """A command. `help` is the first sentence of its function's docstring."""

    function: str  # "plexctl.cli.plan:plan"
    help: str


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """Commands with a common first word: `plexctl flux status`."""

    help: str
    verbs: Mapping[str, Verb]


SECTIONS: Mapping[str, Mapping[str, Verb | CommandGroup]] = {
    "Plexes": {
        "plan": Verb("plexctl.cli.plan:plan", "Show what `up` would change."),
        "up": Verb(
            "plexctl.cli.plexes:up", "Create a plex, or change it to match its configuration."
        ),
        "scale": Verb("plexctl.cli.plexes:scale", "Change the number of workers of a plex."),
        "upgrade": Verb(
            "plexctl.cli.upgrade:upgrade",
            "Replace the nodes of a plex, and keep its cluster's state.",
        ),
        "status": Verb("plexctl.cli.status:status", "Show the state of a plex and its nodes."),
        "timeline": Verb(
            "plexctl.cli.timeline:timeline", "Show the time that each step and node of a run took."
        ),
        "kubeconfig": Verb("plexctl.cli.access:kubeconfig", "Print the kubeconfig of a plex."),
        "flux": CommandGroup(
            "Show and deploy the apps of a plex.",
            {
                "status": Verb("plexctl.cli.flux:status", "Show the state of every app."),
                "reconcile": Verb(
                    "plexctl.cli.flux:reconcile", "Request reconciliation of all apps now."
                ),
                "push": Verb(
                    "plexctl.cli.flux:push", "Push apps/ and clusters/ to the lab's registry."
                ),
                "diff": Verb("plexctl.cli.flux:diff", "Show what a push would change."),
                "suspend": Verb("plexctl.cli.flux:suspend", "Suspend reconciliation of an app."),
                "resume": Verb("plexctl.cli.flux:resume", "Resume reconciliation of an app."),
                "key": Verb(
                    "plexctl.cli.flux:key", "Print the public key (deploy key) for an ssh source."
                ),
                "token": Verb(
                    "plexctl.cli.flux:token", "Store the token of an https or oci source."
                ),
            },
        ),
        "snapshot": CommandGroup(
            "Save a whole plex, and bring it back.",
            {
                "save": Verb(
                    "plexctl.cli.snapshot:save", "Take a snapshot of all nodes of a plex."
                ),
                "list": Verb("plexctl.cli.snapshot:list_", "List the snapshots of a plex."),
                "restore": Verb(
                    "plexctl.cli.snapshot:restore", "Bring all nodes of a plex back to a snapshot."
                ),
                "delete": Verb("plexctl.cli.snapshot:delete", "Delete a snapshot of a plex."),
                "export": Verb(
                    "plexctl.cli.snapshot:export", "Copy a snapshot of a plex into one file."
                ),
                "import": Verb(
                    "plexctl.cli.snapshot:import_",
                    "Create a plex from an exported snapshot, and start it.",
                ),
            },
        ),
        "backup": Verb("plexctl.cli.backup:backup", "Write the objects of a cluster to a file."),
        "backups": CommandGroup(
            "Show the backups that masters write by themselves.",
            {
                "list": Verb(
                    "plexctl.cli.backup:list_",
                    "List the backups that masters write by themselves.",
                ),
                "key": Verb("plexctl.cli.backup:key", "Store the keys of the bucket for backups."),
            },
        ),
        "engine": Verb(
            "plexctl.cli.plexes:engine", "Choose what creates a plex: plexctl itself or OpenTofu."
        ),
        "destroy": Verb("plexctl.cli.plexes:destroy", "Delete the objects of a plex."),
    },
    "Nodes": {
        "replace": Verb("plexctl.cli.plexes:replace", "Recreate nodes."),
        "ssh": Verb("plexctl.cli.nodes:ssh", "Open a shell on a node, or run a command there."),
        "exec": Verb(
            "plexctl.cli.nodes:execute", "Run a program on a node through its host, without SSH."
        ),
        "logs": Verb("plexctl.cli.nodes:logs", "Show the log of a node."),
    },
    "Images": {
        "bake": Verb("plexctl.cli.bake:bake", "Bake the images of nodes."),
        "versions": Verb(
            "plexctl.cli.versions:versions", "List the versions of Kubernetes that plexes may have."
        ),
        "depot": CommandGroup(
            "Manage the depot: verified programs and images for nodes.",
            {
                "fill": Verb(
                    "plexctl.cli.depot:fill", "Fetch and verify everything that the lab needs."
                ),
                "list": Verb("plexctl.cli.depot:list_", "List the components in the depot."),
                "verify": Verb(
                    "plexctl.cli.depot:verify", "Check the SHA-256 of every file in the depot."
                ),
                "prune": Verb(
                    "plexctl.cli.depot:prune",
                    "Delete files that no supported Kubernetes needs.",
                ),
            },
        ),
    },
    "Lab": {
        "init": Verb("plexctl.cli.init:init", "Write the first files of a lab or of a plex."),
        "list": Verb("plexctl.cli.lab:list_", "List the plexes of the lab."),
        "use": Verb("plexctl.cli.lab:use", "Choose the current plex."),
        "trust": Verb(
            "plexctl.cli.trust:trust",
            "Trust the parts of a lab that run programs on this machine.",
        ),
        "inventory": Verb("plexctl.cli.access:inventory", "Print the lab's inventory for Ansible."),
        "import": CommandGroup(
            "Import plexes from another tool's file.",
            {
                "plexhocs": Verb(
                    "plexctl.cli.plexhocs:import_plexhocs",
                    "Write a plex for each host of the map `plexhocs`.",
                )
            },
        ),
        "export": CommandGroup(
            "Export the lab's plexes for another tool.",
            {
                "plexhocs": Verb(
                    "plexctl.cli.plexhocs:export_plexhocs",
                    "Print the lab's plexes as the map `plexhocs`, in HCL.",
                )
            },
        ),
        "host": CommandGroup(
            "Manage the machines that run nodes.",
            {
                "list": Verb("plexctl.cli.host:list_", "Show the state of all hosts."),
                "add": Verb("plexctl.cli.host:add", "Add a machine to the lab's hosts."),
                "trust": Verb(
                    "plexctl.cli.host_trust:trust",
                    "Confine the lab to a project of its own on an Incus host.",
                ),
                "prepare": Verb(
                    "plexctl.cli.host_prepare:prepare",
                    "Install what a machine needs to be a host, and add it.",
                ),
                "remove": Verb("plexctl.cli.host:remove", "Remove a host from the lab."),
            },
        ),
        "registry": CommandGroup(
            "Manage the lab's registry: pushed apps and cached images.",
            {
                "up": Verb(
                    "plexctl.cli.registry:up",
                    "Create the registry, or change it to match its files.",
                ),
                "status": Verb("plexctl.cli.registry:status", "Show the state of the registry."),
                "replace": Verb("plexctl.cli.registry:replace", "Recreate the registry's node."),
                "destroy": Verb(
                    "plexctl.cli.registry:destroy", "Delete the registry and its contents."
                ),
            },
        ),
        "secret": CommandGroup(
            "Manage files of encrypted Secrets.",
            {
                "edit": Verb("plexctl.cli.secret:edit", "Edit a file of Secrets in your editor."),
                "encrypt": Verb("plexctl.cli.secret:encrypt", "Encrypt files of Secrets in place."),
                "rotate": Verb("plexctl.cli.secret:rotate", "Encrypt files with new data keys."),
            },
        ),
        "render": Verb("plexctl.cli.charts:render", "Render charts of apps as plain manifests."),
    },
}


# The base class of usage errors. Typer does not export it, only this class that is derived from it.
_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]


class _Visible:
    """Mixed into commands: messages show control characters of the command line as escapes."""

    def make_context(self, *args: Any, **settings: Any) -> Any:
        try:
            return super().make_context(*args, **settings)  # type: ignore[misc]
        except _USAGE_ERROR as error:
            error.message = visible_line(error.message)
            raise


class PlexctlCommand(_Visible, TyperCommand):
    """A command with its options."""


class LazyCommand(TyperCommand):
    """A command as lists of commands need it: its name and one line of help."""

    def __init__(self, name: str, verb: Verb) -> None:
        super().__init__(name, help=verb.help)
        self.verb = verb

    def load(self) -> TyperCommand:
        """The command itself."""
        module, _, function = self.verb.function.partition(":")
        with lazy_imports():
            called = getattr(import_module(module), function)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(self.name, cls=PlexctlCommand)(called)
        command = typer.main.get_command(alone)
        assert isinstance(command, TyperCommand)
        return command


class LazyGroup(_Visible, TyperGroup):
    """A group that imports the command that is called, and no other."""

    # The library's context has a private type.
    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, LazyCommand) else command, rest


class Root(LazyGroup):
    """All commands. The help lists them by section."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for verbs in SECTIONS.values():
            for name, verb in verbs.items():
                self.add_command(_listed(name, verb))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        for section, verbs in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(f"{name:{width}}", verb.help) for name, verb in verbs.items()])


def _listed(name: str, verb: Verb | CommandGroup) -> LazyCommand | LazyGroup:
    if isinstance(verb, Verb):
        return LazyCommand(name, verb)
    return LazyGroup(
        name=name,
        help=verb.help,
        commands=[_listed(own, one) for own, one in verb.verbs.items()],
        no_args_is_help=True,
        rich_markup_mode=None,
    )
