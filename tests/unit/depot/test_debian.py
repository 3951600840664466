from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.depot import debian

# From Debian 12, shortened.
URIS = """Reading package lists...
The following NEW packages will be installed:
  libgmp10 nftables
'http://deb.debian.org/g/libgmp10_6.2.1.deb' libgmp10_2%3a6.2.1+dfsg1-1.1_amd64.deb 5 MD5Sum:22
'http://deb.debian.org/n/nftables_1.0.6.deb' nftables_1.0.6-2+deb12u2_amd64.deb 70 MD5Sum:79
"""


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}")
    (folder / name).chmod(0o755)


def test_packages_become_one_tree_with_merged_usr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, log = tmp_path / "path", tmp_path / "log"
    path.mkdir()
    program(
        path,
        "apt-get",
        f"""echo "$@" >> {log}
case "$*" in
*--print-uris*) cat <<'END'
{URIS}END
;;
*) for word in "$@"; do case $word in *=1.*) : > "${{word%%=*}}.deb";; esac; done;;
esac
""",
    )
    program(
        path,
        "dpkg-deb",
        """cd "$3"
mkdir -p lib/x lib64 usr/sbin usr/share/doc/nftables usr/share/man usr/lib/x/gconv
echo c > lib/x/libc.so.6; echo nft > usr/sbin/nft; chmod 755 usr/sbin/nft
ln -sf /lib/x/ld.so lib64/ld.so
echo free > usr/share/doc/nftables/copyright; echo no > usr/share/man/nft.8
echo no > usr/lib/x/gconv/BIG5.so
""",
    )
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")

    entries = {entry.path: entry for entry in debian.unpack(("nftables",), tmp_path / "work")}
    assert set(entries) == {
        *debian.MERGED,
        "usr/lib/x/libc.so.6",
        "usr/lib64/ld.so",
        "usr/sbin/nft",
        "usr/share/doc/nftables/copyright",
    }
    assert entries["lib"].link == "usr/lib"
    assert entries["usr/lib64/ld.so"].link == "/lib/x/ld.so"
    assert entries["usr/sbin/nft"].mode == 0o755
    resolved, downloaded = log.read_text().splitlines()
    assert "Dir::State::status=/dev/null" in resolved  # as if nothing was installed
    assert downloaded.endswith("download libgmp10=2:6.2.1+dfsg1-1.1 nftables=1.0.6-2+deb12u2")
