"""kubeadm-init, the program that completes a master, with a fake API and a fake kubeadm."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.fake_pve.tls import Certificate, self_signed

from . import kubeadm_init

KUBEADM = """\
#!/bin/sh
echo "token abcdef.0123456789abcdef"
echo "$*" >>{folder}/calls
ls {folder}/manifests >>{folder}/manifests-then
if [ -s {folder}/failures ]; then
  head -n 1 {folder}/failures >&2
  sed -i 1d {folder}/failures
  exit 1
fi
"""
ADDONS = "init phase addon all --config=/etc/plexctl/kubeadm.yaml --kubeconfig={}"
REST = "init --config=/etc/plexctl/kubeadm.yaml --skip-phases="


@dataclass
class Api:
    """Serves the paths in `there`, to holders of the client certificate only."""

    certificate: Certificate
    there: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    on_request: Callable[[str], None] = lambda _: None
    port: int = 0

    def serve(self) -> ThreadingHTTPServer:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.asked.append(self.path)
                api.on_request(self.path)
                code = 200 if self.path in api.there else 404
                self.send_response(code, "Not Found" if code == 404 else "OK")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        context = self.certificate.context()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.certificate.pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server


@dataclass
class Master:
    folder: Path

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def manifests(self) -> set[str]:
        return {one.name for one in (self.folder / "manifests").iterdir()}

    @property
    def done(self) -> bool:
        return (self.folder / "done").exists()


@pytest.fixture
def api() -> Iterator[Api]:
    served = Api(self_signed(), set(kubeadm_init.NEEDED))
    server = served.serve()
    yield served
    server.shutdown()
    server.server_close()


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: Api) -> Master:
    """A master's files in a folder, and a kubeadm that writes its arguments down."""
    (tmp_path / "ca.crt").write_text(api.certificate.pem)
    both = {
        "client-certificate-data": api.certificate.pem,
        "client-key-data": api.certificate.key_pem,
    }
    lines = [
        f"    {name}: {base64.b64encode(text.encode()).decode()}" for name, text in both.items()
    ]
    (tmp_path / "super-admin.conf").write_text("\n".join(("users:", *lines, "")))
    for folder in ("memory", "manifests", "held", "programs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "manifests" / "etcd.yaml").touch()
    for name in ("kube-scheduler.yaml", "kube-controller-manager.yaml"):
        (tmp_path / "held" / name).touch()
    kubeadm = tmp_path / "programs" / "kubeadm"
    kubeadm.write_text(KUBEADM.format(folder=tmp_path))
    kubeadm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{kubeadm.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    for name, value in {
        "DONE": tmp_path / "done",
        "CA": tmp_path / "ca.crt",
        "SUPER_ADMIN": tmp_path / "super-admin.conf",
        "MANIFESTS": tmp_path / "manifests",
        "HELD_MANIFESTS": tmp_path / "held",
        "MEMORY": str(tmp_path / "memory"),
        "API_PORT": api.port,
        "PAUSE": 0.01,
    }.items():
        monkeypatch.setattr(kubeadm_init, name, value)
    return Master(tmp_path)


def test_addons_come_first_and_the_written_phases_are_skipped(master: Master, api: Api) -> None:
    kubeadm_init.main()

    addons, rest = master.calls()
    assert addons == ADDONS.format(master.folder / "super-admin.conf")
    assert rest.startswith(REST)
    skipped = set(rest.removeprefix(REST).split(","))
    assert {"certs", "control-plane", "etcd", "kubeconfig", "addon"} <= skipped
    assert not {"preflight", "upload-config", "mark-control-plane", "bootstrap-token"} & skipped
    assert master.done
    assert api.asked == list(kubeadm_init.NEEDED)


def test_held_pods_start_once_the_api_has_its_first_roles(master: Master, api: Api) -> None:
    then: list[set[str]] = []
    api.on_request = lambda _: then.append(master.manifests())

    kubeadm_init.main()

    assert then == [{"etcd.yaml"}] * len(kubeadm_init.NEEDED)
    expected = ["etcd.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"]
    assert (master.folder / "manifests-then").read_text().split() == expected * 2
    assert not list((master.folder / "held").iterdir())


def test_a_missing_object_is_requested_again(master: Master, api: Api) -> None:
    first, second, *_ = kubeadm_init.NEEDED
    api.there.remove(second)

    def on_request(path: str) -> None:
        if api.asked.count(second) == 3:
            api.there.add(second)

    api.on_request = on_request
    kubeadm_init.main()

    assert api.asked == [first, *[second] * 3, *kubeadm_init.NEEDED[2:]]
    assert master.done


def test_an_api_that_does_not_listen_yet_is_waited_for(
    master: Master, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Api(api.certificate, set(api.there))
    with socket.create_server(("127.0.0.1", 0)) as free:
        late.port = free.getsockname()[1]
    monkeypatch.setattr(kubeadm_init, "API_PORT", late.port)
    running = threading.Thread(target=kubeadm_init.main)
    running.start()
    time.sleep(0.1)
    assert not master.calls()
    server = late.serve()
    running.join(20)
    server.shutdown()
    server.server_close()

    assert master.done


def test_a_wait_ends_with_what_was_last_observed(
    master: Master, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeadm_init, "DEADLINE", 0.05)
    api.there.clear()
    with pytest.raises(SystemExit, match=r"not ready after .*kube-system: 404 Not Found"):
        kubeadm_init.main()

    assert not master.calls()
    assert master.manifests() == {"etcd.yaml"}
    assert not master.done


def test_a_failed_phase_is_repeated_by_the_next_run(
    master: Master, capfd: pytest.CaptureFixture[str]
) -> None:
    (master.folder / "failures").write_text("addons failed\n\n")
    with pytest.raises(subprocess.CalledProcessError):
        kubeadm_init.main()
    assert not master.done
    assert "addons failed" in capfd.readouterr().err

    with pytest.raises(subprocess.CalledProcessError):
        kubeadm_init.main()
    kubeadm_init.main()
    kubeadm_init.main()  # all of it may be repeated
    assert master.done
    assert [one.split()[1] for one in master.calls()] == ["phase"] * 2 + [
        "phase",
        "--config=/etc/plexctl/kubeadm.yaml",
    ] * 2


def test_no_secret_is_printed_or_left_behind(
    master: Master, capfd: pytest.CaptureFixture[str]
) -> None:
    kubeadm_init.main()

    assert "abcdef.0123456789abcdef" not in "".join(capfd.readouterr())
    assert not list((master.folder / "memory").iterdir())


def test_a_kubeconfig_without_a_key_is_named(master: Master) -> None:
    (master.folder / "super-admin.conf").write_text("users: []\n")
    with pytest.raises(SystemExit, match=r"super-admin\.conf has no client-certificate-data"):
        kubeadm_init.main()


def test_an_api_with_another_certificate_is_not_trusted(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    (master.folder / "ca.crt").write_text(self_signed().pem)
    monkeypatch.setattr(kubeadm_init, "DEADLINE", 0.05)
    with pytest.raises(SystemExit, match="certificate verify failed"):
        kubeadm_init.main()


def test_debians_python_needs_nothing_else() -> None:
    """Isolated (-I) and without site-packages (-S), it only fails where it reads its files."""
    program = Path(kubeadm_init.__file__).resolve()
    assert program.name == "kubeadm-init"
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-S", "-c", f"import runpy; runpy.run_path({str(program)!r})"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
