"""The environments of the programs that plexctl starts: built from lists, not inherited.

A variable of another tool may change what a program does: ANSIBLE_RUN_TAGS empties an image,
TF_CLI_ARGS_plan=-destroy deletes a plex, LC_ALL=C breaks Ansible. So a program gets only variables
that are in a list here, each with the reason.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

LOCALE: Mapping[str, str] = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
"""Messages that plexctl reads are English, and file names are UTF-8. Every libc has this locale."""

BASE: Mapping[str, str] = {
    "HOME": "programs keep caches and the user's SSH files in it",
    "PATH": "programs, and what they start themselves, are found there",
    "USER": "the login name of SSH and of sudo",
    "LOGNAME": "the same, as POSIX names it",
    "TMPDIR": "the user's place for temporary files",
    "XDG_CACHE_HOME": "the place of caches, such as that of Go",
    "XDG_CONFIG_HOME": "the place of settings, such as those of Go, where `go env -w` writes them",
    "XDG_DATA_HOME": "the place of data, such as plugins of OpenTofu",
}
"""What every program gets."""

NETWORK: Mapping[str, str] = {
    "HTTP_PROXY": "the way to the Internet",
    "HTTPS_PROXY": "the way to the Internet",
    "ALL_PROXY": "the way to the Internet",
    "NO_PROXY": "servers that no proxy is for",
    "http_proxy": "as some programs spell it (wget, apt)",
    "https_proxy": "as some programs spell it",
    "all_proxy": "as some programs spell it",
    "no_proxy": "as some programs spell it",
    "SSL_CERT_FILE": "authorities to trust, as that of a company's proxy",
    "SSL_CERT_DIR": "authorities to trust",
}
"""What programs get that fetch something from the Internet. Hosts and clusters are called without:
their certificates are pinned, and no proxy is between."""

SSH: Mapping[str, str] = {"SSH_AUTH_SOCK": "the agent with the user's keys"}
"""What programs get that log in to hosts."""

GO: Mapping[str, str] = {
    "GOPROXY": "the user's module proxy",
    "GONOPROXY": "modules that are not on it",
    "GOPRIVATE": "the same, and not in the checksum database either",
    "GOSUMDB": "the checksum database of a module proxy; go.sum is pinned in any case",
    "GONOSUMDB": "modules that are not in it",
    "GOAUTH": "the login to a module proxy",
    "NETRC": "a file with the login to a module proxy",
    "GOPATH": "the folder with the module cache",
    "GOMODCACHE": "the module cache, so that nothing is fetched twice",
    "GOCACHE": "the build cache, so that a second build takes seconds",
}
"""What the go command gets: where modules come from and where caches are, not how it compiles."""

TOFU: Mapping[str, str] = {
    "TF_CLI_CONFIG_FILE": "a mirror of providers: docs/how-to/opentofu.md",
    "TF_PLUGIN_CACHE_DIR": "a cache of providers that several folders share",
}
"""What OpenTofu gets: where providers come from, not what a call does."""

TOFU_TOKENS = "TF_TOKEN_"
"""Followed by the name of a registry of providers: the login to it."""

FOREIGN = ("PYTHON", "LD_")
"""Beginnings of variables that change how a program of plexctl's own environment is loaded."""


def environment(*lists: Iterable[str], prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """The variables of BASE, of `lists`, and with `prefixes`, as they are set; and LOCALE."""
    return {**chosen(BASE, *lists, prefixes=prefixes), **LOCALE}


def chosen(*lists: Iterable[str], prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """The variables of `lists` and with `prefixes`, as they are set, and nothing else."""
    names = {name for names in lists for name in names}
    return {
        name: value
        for name, value in os.environ.items()
        if name in names or (prefixes and name.startswith(prefixes))
    }


def users_environment() -> dict[str, str]:
    """The user's whole environment, for a program that the user starts through plexctl.

    That is the editor, an interactive `ssh`, and what the commands in bin/ wrap: their settings are
    the user's intent.
    """
    return dict(os.environ)


def users_ansible() -> dict[str, str]:
    """The user's environment for Ansible, which refuses a locale other than UTF-8."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**found, **LOCALE, "PATH": search_path()}


def search_path() -> str:
    """PATH with the programs beside this interpreter: the environment need not be activated."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
