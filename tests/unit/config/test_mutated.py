"""Files of a lab with random changes: each is read, or refused with file and line, in a second."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plexctl.config.load import load_lab
from plexctl.depot.check_pins import read_pins
from plexctl.depot.lock import Lock
from plexctl.errors import ConfigError, PlexError
from plexctl.render.errors import error_text

from .labs import VERSIONS

FILES = {
    "clusters/hosts.yaml": "hosts:\n  local: {}\n  far: {url: 'https://10.0.0.7:8443', "
    "address: 10.0.0.7, ssh: 'root@10.0.0.7:22', parallel: 2,\n    certificate: "
    + "ab"
    * 32
    + ",\n"
    "    facts: {cgroup: 2, cpus: 8, memory: 64GiB}}\n"
    "registry: {upstreams: {docker.io: 'https://registry-1.docker.io'}}\nsecrets: {epoch: 2}\n",
    "clusters/demo/plex.yaml": "kubernetes: 1.36\nworkers: 3\nhost: local\ndomain: cluster.local\n"
    "networks: {nodes: 10.1.0.0/24}\ngroups: &g\n- nodes: 2-3\n  labels: {disk: fast}\n"
    "  taints: ['a=b:NoSchedule']\n  size: {cpu: 1, memory: 1.5GiB}\n  kubelet: {maxPods: 50}\n"
    "kubeadm: {cluster: {apiServer: {extraArgs: [{name: v, value: '4'}]}}}\n",
    "types/mine.yaml": "role: kubenode\nbase: debian12\nkubernetes: true\nprivileged: true\n"
    "layers:\n- {name: all, artifacts: [containerd]}\n",
    "types/bases.yaml": "mine: {release: trixie, mirror: 'https://deb.debian.org/debian'}\n",
    "pins.yaml": "modules: {}\ncomponents: {}\nkubernetes: {}\n",
    "depot.lock": '{"a": "b", "c": "d"}',
}

PIECES = (
    *(b"[" * 60, b"{" * 300, b"- " * 70, b"? " * 60, b"&a ", b"*a", b"<<: *g\n", b"<<: 1\n"),
    *(b"!!timestamp ", b"!!python/object:os.system ", b"!!int ", b"!!binary ", b"!!float "),
    *(b"!!bool ", b"!!null ", b"!!set ", b"!!omap ", b"!!pairs ", b"! ", b"!a!b ", b"%YAML 3.0\n"),
    *(b"\0", b"\x1b[31m", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", "\u2028".encode()),
    *(b"9" * 5000, b"0x" + b"f" * 5000, b"1e999", b".nan", b"-.inf", b"1_0", b"0b1", b"1:2", b"07"),
    *(b"2026-13-41", b"2026-01-01", b"2026-01-01 25:99:99", "\u0662".encode(), b"---\n", b"...\n"),
    *(
        b"=",
        b"~",
        b"null",
        b"[]",
        b"{}",
        b"''",
        b'"',
        b"'",
        b"\t",
        b"\n",
        b": ",
        b"- ",
        b"#",
        b"|\n",
    ),
    *(
        b"https://[::1",
        b"https://x:99999",
        b"10.0.0.0/99",
        b"\\x",
        b"@",
        b"`",
        b"%",
        b",",
        b"x" * 999,
    ),
)


def _mutated(content: bytes, change: random.Random) -> bytes:
    for _ in range(change.randint(1, 3)):
        at, end = sorted((change.randint(0, len(content)), change.randint(0, len(content))))
        end = change.choice((at, at + 1, end))
        other = content[end : end + change.randint(0, 40)]
        piece = change.choice((*PIECES, b"", other, bytes([change.randrange(256)])))
        content = content[:at] + piece + content[end:]
    return content


def _write(root: Path, name: str = "", seed: int = 0) -> None:
    for other, text in FILES.items():
        file = root / other
        file.parent.mkdir(parents=True, exist_ok=True)
        content = text.encode()
        file.write_bytes(_mutated(content, random.Random(seed)) if other == name else content)


def test_the_lab_is_read_before_it_is_changed(tmp_path: Path) -> None:
    _write(tmp_path)
    assert load_lab(tmp_path, VERSIONS).plexes["demo"].size == 4
    assert set(read_pins(tmp_path / "pins.yaml")) == {"modules", "components", "kubernetes"}
    assert Lock(tmp_path / "depot.lock").read() == {"a": "b", "c": "d"}


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(FILES)), st.integers(0, 2**32))
def test_a_mutated_file_is_read_or_refused_with_file_and_line(name: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write(root, name, seed)
        started = time.process_time()
        for read in (
            lambda: load_lab(root, VERSIONS),
            lambda: read_pins(root / "pins.yaml"),
            lambda: Lock(root / "depot.lock").read(),
        ):
            try:
                read()
            except PlexError as error:
                shown = error_text(error)
                assert name.rpartition("/")[2] in shown or "plex.yaml" in shown, shown
                assert "\x1b" not in shown
                if isinstance(error, ConfigError):
                    assert all(problem.line >= 1 for problem in error.problems)
                    assert all(problem.file.is_relative_to(root) for problem in error.problems)
        assert time.process_time() - started < 1
