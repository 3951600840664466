"""The files that make containerd of a node use the lab's registry."""

from __future__ import annotations

from plexctl.model.registry import Registry
from plexctl.plan.boot.files import BootFile, text

LAB_CA = "/etc/plexctl/lab-ca.crt"
CERTS = "/etc/containerd/certs.d"


def mirror_files(registry: Registry, ca: bytes) -> tuple[BootFile, ...]:
    """Images of each upstream are pulled through the registry, or directly if that fails.

    `ca` (PEM) has signed the registry's certificate.
    """
    trusted = ('capabilities = ["pull", "resolve"]', f'ca = "{LAB_CA}"')
    files = [text(LAB_CA, ca.decode())]
    for name, url in registry.upstreams:
        lines = (
            f'server = "{url}"',
            "",
            f'[host."https://{registry.endpoint}/v2/{name}"]',
            *(f"  {line}" for line in trusted),
            "  override_path = true",
            # A registry that is down costs a pull one second, not containerd's thirty.
            '  dial_timeout = "1s"',
        )
        files.append(_entry(name, lines))
    own = (f'server = "https://{registry.endpoint}"', *trusted)
    return (*files, _entry(registry.endpoint, own))


def _entry(name: str, lines: tuple[str, ...]) -> BootFile:
    return text(f"{CERTS}/{name}/hosts.toml", "\n".join(lines) + "\n")
