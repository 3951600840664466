"""Keys and logs are deleted before an instance becomes an image; the rest stays."""

from __future__ import annotations

import subprocess
from pathlib import Path

from plexctl.bake.clean import CLEAN

GOES = (
    "etc/hostname",
    "etc/resolv.conf",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "root/.ansible/tmp/x",
    "root/.bash_history",
    "run/containerd/containerd.sock",
    "tmp/.hidden/x",
    "var/cache/apt/archives/less.deb",
    "var/cache/debconf/config.dat-old",
    "var/lib/apt/lists/mirror_InRelease",
    "var/lib/systemd/random-seed",
    "var/log/apt/history.log",
    "var/log/dpkg.log",
    "var/tmp/x",
)
STAYS = (
    "etc/ssh/sshd_config",
    "root/.profile",
    "var/cache/debconf/config.dat",
    "var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db",
    "var/lib/dpkg/status",
)


def test_keys_names_logs_and_caches_are_deleted(tmp_path: Path) -> None:
    for name in (*GOES, *STAYS):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    (tmp_path / "etc/machine-id").write_text("1c36d48343904d77a076e3951a5cf349\n")

    script = CLEAN.replace("cd /\n", f"cd {tmp_path}\n")
    assert script != CLEAN
    subprocess.run(["/bin/sh", "-c", script], check=True)

    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {*STAYS, "etc/machine-id"}
    # Empty rather than missing: systemd makes a new one, and takes no boot for the very first.
    assert (tmp_path / "etc/machine-id").read_text() == ""
    assert (tmp_path / "var/log/apt").is_dir()
