"""kubeadm-init, the program that completes a master, with a fake API and a fake kubeadm."""

from __future__ import annotations

import base64
import json
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
from typing import Any

import pytest

from tests.fake_pve.tls import Certificate, self_signed

from ..clients.tls_server import closed
from . import kubeadm_init

KUBEADM = """\
#!/bin/sh
echo "token abcdef.0123456789abcdef"
echo "$*" >>{folder}/calls
ls {folder}/manifests >>{folder}/manifests-then
if [ -s {folder}/failures ]; then
  line=$(head -n 1 {folder}/failures)
  sed -i 1d {folder}/failures
  [ "$line" = works ] || {{ echo "$line" >&2; exit 1; }}
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
    answers: dict[str, Any] = field(default_factory=dict)  # by path; written ones are added
    written: list[tuple[str, str, Any]] = field(default_factory=list)  # method, path, object
    on_request: Callable[[str], None] = lambda _: None
    port: int = 0

    def serve(self) -> ThreadingHTTPServer:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.asked.append(self.path)
                api.on_request(self.path)
                there = self.path in api.there or self.path in api.answers
                self.answer(200 if there else 404, api.answers.get(self.path, {}))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                path, _, query = self.path.partition("?")
                api.written.append((self.command, query, body))
                if self.command == "PATCH":
                    there = api.answers.get(path, {}).get("metadata", {}).get("resourceVersion")
                    given = body.get("metadata", {}).get("resourceVersion")
                    code = 200 if given == there else 409
                else:
                    path += f"/{body['metadata']['name']}"
                    code = 409 if path in api.answers else 201
                if code < 400:
                    api.answers[path] = body
                self.answer(code, body)

            def do_PATCH(self) -> None:
                self.do_POST()

            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.written.append((self.command, "", body))
                api.answers[self.path] = body
                self.answer(200, body)

            def answer(self, code: int, body: object) -> None:
                content = json.dumps(body).encode()
                self.send_response(code, "Not Found" if code == 404 else "OK")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

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
        "BORN": tmp_path / "born",
        "JOINS": tmp_path / "join",
        "RESTORED": tmp_path / "restored",
        "KEEPALIVED": tmp_path / "keepalived.conf",
        "CONTENTS": tmp_path / "genesis.json",
        "CONTROL_PLANE": tmp_path / "control-plane.json",
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
    assert {"certs", "control-plane", "etcd", "kubeconfig"} <= skipped
    # Without the addons, the uploaded configuration would say that the cluster has none.
    kept = {"preflight", "upload-config", "mark-control-plane", "bootstrap-token", "addon"}
    assert not kept & skipped
    assert master.done
    assert api.asked == list(kubeadm_init.NEEDED)


def test_the_contents_of_etcd_are_deleted_once_all_is_complete(master: Master) -> None:
    """They may have keys that are replaced later."""
    contents = master.folder / "genesis.json"
    contents.touch()
    (master.folder / "failures").write_text("addons failed\n")
    with pytest.raises(subprocess.CalledProcessError):
        kubeadm_init.main()
    assert contents.exists()

    kubeadm_init.main()
    assert not contents.exists()


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
    with closed() as late.port:
        monkeypatch.setattr(kubeadm_init, "API_PORT", late.port)
        running = threading.Thread(target=kubeadm_init.main)
        running.start()
        time.sleep(0.1)
        assert not master.calls()
        server = late.serve()
        running.join(60)
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
    assert master.done
    assert [one.split()[1] for one in master.calls()] == ["phase"] * 3 + [
        "--config=/etc/plexctl/kubeadm.yaml"
    ]


def test_the_super_admin_is_deleted_once_all_is_complete(master: Master) -> None:
    key = master.folder / "super-admin.conf"
    (master.folder / "failures").write_text("works\nthe rest failed\n")
    with pytest.raises(subprocess.CalledProcessError):
        kubeadm_init.main()
    assert key.exists()

    kubeadm_init.main()

    assert not key.exists()
    assert master.done


def test_a_crash_after_the_deletion_of_the_super_admin_needs_nothing_more(master: Master) -> None:
    kubeadm_init.main()
    calls = master.calls()
    (master.folder / "done").unlink()

    kubeadm_init.main()

    assert master.done
    assert master.calls() == calls


def test_no_secret_is_printed_or_left_behind(
    master: Master, capfd: pytest.CaptureFixture[str]
) -> None:
    kubeadm_init.main()

    assert "abcdef.0123456789abcdef" not in "".join(capfd.readouterr())
    assert not list((master.folder / "memory").iterdir())


NODE = "/api/v1/nodes/localhost"
TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
SERVICE = {
    "metadata": {
        "name": "kube-dns",
        "namespace": "kube-system",
        "uid": "0fd3cb1e-aaaa",
        "labels": {"k8s-app": "kube-dns"},
    },
    "spec": {"ports": [{"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"}]},
}
SLICE = f"{kubeadm_init.SLICES}/kube-dns-0fd3c"


def dns_pod(name: str, *, ready: bool) -> dict[str, Any]:
    status = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-11-29T20:00:00Z"}
    return {
        "metadata": {"name": name, "namespace": "kube-system", "uid": f"uid-{name}"},
        "spec": {"nodeName": "demo1"},
        "status": {"podIP": "10.1.1.2", "conditions": [status]},
    }


@pytest.fixture
def born(master: Master, api: Api) -> Master:
    """A master whose etcd was born with its contents. Its kubelet has registered."""
    (master.folder / "born").touch()
    mark = {"labels": {"node-role.kubernetes.io/control-plane": ""}, "taints": [TAINT]}
    (master.folder / "control-plane.json").write_text(json.dumps(mark))
    api.answers[NODE] = {"metadata": {"resourceVersion": "7"}, "spec": {"taints": [NOT_READY]}}
    api.answers[kubeadm_init.DNS_SERVICE] = SERVICE
    api.answers[kubeadm_init.DNS_PODS] = {"items": [dns_pod("a", ready=True)]}
    return master


def test_a_born_master_is_marked_and_publishes_dns_without_kubeadm(born: Master, api: Api) -> None:
    kubeadm_init.main()

    assert born.done
    assert not born.calls()
    assert not (born.folder / "super-admin.conf").exists()
    (_, marker, node), (_, writer, dns) = api.written
    assert (marker, writer) == ("fieldManager=kubeadm", "fieldManager=kube-controller-manager")
    assert node["spec"]["taints"] == [NOT_READY, TAINT]
    assert node["metadata"]["labels"] == {"node-role.kubernetes.io/control-plane": ""}
    assert dns["metadata"]["ownerReferences"][0]["uid"] == "0fd3cb1e-aaaa"
    (endpoint,) = dns["endpoints"]
    assert endpoint["addresses"] == ["10.1.1.2"]
    assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}
    assert endpoint["targetRef"]["uid"] == "uid-a"


def test_dns_is_published_and_controllers_start_once_all_its_pods_are_ready(
    born: Master, api: Api
) -> None:
    pods = [dns_pod("a", ready=True), dns_pod("b", ready=False)]
    api.answers[kubeadm_init.DNS_PODS] = {"items": pods}
    then: list[set[str]] = []

    def on_request(path: str) -> None:
        if path == kubeadm_init.DNS_PODS:
            then.append(born.manifests())
            if len(then) == 3:
                pods[1] = dns_pod("b", ready=True)

    api.on_request = on_request
    kubeadm_init.main()

    assert then == [{"etcd.yaml"}] * 3
    assert len(api.answers[SLICE]["endpoints"]) == 2
    assert "kube-scheduler.yaml" in born.manifests()


def test_controllers_start_even_if_dns_never_is_ready(
    born: Master, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeadm_init, "DNS_DEADLINE", 0.1)
    api.answers[kubeadm_init.DNS_PODS] = {"items": [dns_pod("a", ready=False)]}

    kubeadm_init.main()

    assert SLICE not in api.answers
    assert "kube-controller-manager.yaml" in born.manifests()


def test_a_born_master_waits_until_its_kubelet_has_registered(born: Master, api: Api) -> None:
    node = api.answers.pop(NODE)

    def on_request(path: str) -> None:
        if api.asked.count(NODE) == 3:
            api.answers[NODE] = node

    api.on_request = on_request
    kubeadm_init.main()

    assert api.asked.count(NODE) == 3


def test_a_born_master_may_complete_twice(born: Master, api: Api) -> None:
    kubeadm_init.complete()
    api.answers[NODE]["metadata"]["resourceVersion"] = "8"
    kubeadm_init.complete()

    assert [method for method, _, _ in api.written] == ["PATCH", "POST", "PATCH"]
    assert api.answers[NODE]["spec"]["taints"] == [NOT_READY, TAINT]


def test_a_master_that_joins_marks_itself_and_starts_controllers(born: Master, api: Api) -> None:
    (born.folder / "born").unlink()
    (born.folder / "join").touch()

    kubeadm_init.main()

    assert born.calls() == []  # neither kubeadm nor systemctl
    assert [method for method, _, _ in api.written] == ["PATCH"]  # DNS runs already
    assert {"kube-scheduler.yaml", "kube-controller-manager.yaml"} <= born.manifests()


def test_a_restored_master_is_marked_and_runs_the_phases_of_kubeadm(born: Master, api: Api) -> None:
    """The files of the plex may have changed since, and so may the versions of its addons."""
    (born.folder / "restored").touch()

    kubeadm_init.main()

    assert [call.split()[0] for call in born.calls()] == ["init", "init"]
    assert [method for method, _, _ in api.written] == ["PATCH"]
    assert {"kube-scheduler.yaml", "kube-controller-manager.yaml"} <= born.manifests()


def test_a_master_of_a_cluster_that_continues_runs_no_phase_of_kubeadm(born: Master) -> None:
    (born.folder / "join").touch()

    kubeadm_init.main()

    assert born.calls() == []


def test_the_controllers_of_a_master_wait_beside_others_that_elect_no_leader(born: Master) -> None:
    (born.folder / "born").unlink()
    (born.folder / "join").write_text("hold\n")

    kubeadm_init.main()

    assert born.done
    assert not {"kube-scheduler.yaml", "kube-controller-manager.yaml"} & born.manifests()


def test_kube_proxy_of_several_masters_tests_quiet_connections(
    master: Master, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeadm_init, "run", lambda *_: None)
    (master.folder / "keepalived.conf").touch()
    variables = [{"name": "A", "value": "3"}]
    (master.folder / "control-plane.json").write_text(json.dumps({"quiet": variables}))

    kubeadm_init.main()

    spec = api.answers[kubeadm_init.PROXY]["spec"]["template"]["spec"]
    assert spec["containers"] == [{"name": "kube-proxy", "env": variables}]


def test_one_of_several_masters_starts_keepalived_once_its_api_answers(
    born: Master, api: Api
) -> None:
    systemctl = born.folder / "programs" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "systemctl $*" >>{born.folder}/calls\n')
    systemctl.chmod(0o755)
    (born.folder / "keepalived.conf").touch()

    kubeadm_init.main()

    assert born.calls() == ["systemctl enable --now --no-block keepalived"]
    assert "Endpoints" not in [body.get("kind") for _, _, body in api.written]


def test_the_service_of_the_api_leads_to_the_endpoint_of_several_masters(
    born: Master, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeadm_init, "run", lambda *_: None)
    (born.folder / "born").unlink()
    (born.folder / "join").touch()
    (born.folder / "keepalived.conf").touch()
    mark = json.loads((born.folder / "control-plane.json").read_text())
    (born.folder / "control-plane.json").write_text(json.dumps({**mark, "endpoint": "10.64.3.10"}))
    # The only master has registered itself before.
    there = "/api/v1/namespaces/default/endpoints/kubernetes"
    api.answers[there] = {"metadata": {"name": "kubernetes", "resourceVersion": "3"}}

    kubeadm_init.main()

    endpoints = api.answers[there]
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "10.64.3.10"}]
    assert endpoints["metadata"]["resourceVersion"] == "3"
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
    assert api.answers[slices]["endpoints"][0]["addresses"] == ["10.64.3.10"]


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
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
