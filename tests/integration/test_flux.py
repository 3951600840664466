"""Apps: brought up by Flux from the lab's registry and from git, with their secrets, in order."""

from __future__ import annotations

import base64
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .garden import APP, GATEWAY, NETWORKS, PLEX, REGISTRY, Garden, planted
from .git_server import commit, serving, signer
from .guarded import Behind, Git, Guarded, Signed, guarding
from .plays import play
from .support import Lab, eventually, host


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Garden]:
    with planted(tmp_path_factory) as garden:
        yield garden


def test_up_brings_the_apps_with_their_secrets(garden: Garden) -> None:
    assert garden.hello().startswith(APP)
    assert garden.secret() == garden.canary
    states = garden.states()
    assert set(states.values()) == {"ready"}
    assert {"plex", "secrets", "infra", APP} <= states.keys()


def test_a_second_up_changes_nothing(garden: Garden) -> None:
    pods = garden.cluster.run("get", "pods", "-A", "-o", "name")
    answer = garden.lab.run("up", PLEX)
    assert "nothing to do" in answer.out
    assert garden.cluster.run("get", "pods", "-A", "-o", "name") == pods


def test_a_change_is_shown_and_then_live_without_a_commit(garden: Garden) -> None:
    file = garden.tree / "apps" / APP / "config.yaml"
    file.write_text(file.read_text().replace("hello from", "greetings from"))

    diff = garden.lab.run("flux", "diff", PLEX, code=3)
    assert "greetings from" in diff.out
    assert garden.canary not in diff.out + diff.err
    assert garden.greeting() == f"hello from {PLEX}"

    garden.push()
    assert garden.greeting() == f"greetings from {PLEX}"
    garden.lab.run("flux", "diff", PLEX, code=0)


def test_fluxstrap_does_what_up_does(garden: Garden) -> None:
    file = garden.tree / "apps" / APP / "config.yaml"
    before = file.read_text()
    file.write_text(before.replace("greetings", "hearty greetings"))

    played = play(garden.lab, "fluxstrap.yml", f"plex={PLEX}")

    assert played.code == 0, played.text
    assert garden.greeting() == f"hearty greetings from {PLEX}"
    file.write_text(before)


def test_a_broken_app_is_told_and_stops_no_other(garden: Garden) -> None:
    garden.add_app(
        "broken",
        "apiVersion: apps/v1\nkind: Deployment\n"
        "metadata: {name: broken, namespace: default}\nspec: {replicas: many}\n",
    )
    garden.add_app(
        "fine",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fine, namespace: default}\n",
    )
    answer = garden.lab.run("up", PLEX, code=1, timeout=120)
    assert "failed: Kustomization broken: " in answer.out
    assert "replicas" in answer.out
    assert "3 nodes Ready" in answer.out
    assert garden.cluster.get("configmap", "fine")["metadata"]["name"] == "fine"
    garden.drop_app("broken")
    garden.drop_app("fine")
    garden.push()
    assert "fine" not in garden.cluster.run("get", "configmap", "-o", "name")


def test_a_circle_is_told_and_mended_by_the_next_push(garden: Garden) -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, namespace: default}\n"
    garden.add_app("egg", manifest.replace("NAME", "egg"), depends_on="hen")
    garden.add_app("hen", manifest.replace("NAME", "hen"), depends_on="egg")
    answer = garden.push(code=1)
    assert "egg -> hen -> egg" in answer.err or "hen -> egg -> hen" in answer.err
    garden.drop_app("egg")
    garden.drop_app("hen")
    garden.push()


def test_a_secret_for_another_key_is_told(garden: Garden, tmp_path: Path) -> None:
    stranger = Lab(tmp_path / "lab", tmp_path / "home", environment=garden.lab.environment)
    stranger.root.mkdir()
    stranger.run("init", "--gitops", "other")
    sealed = stranger.root / "clusters" / "other" / "secrets" / "hello.yaml"
    stranger.run("secret", "edit", str(sealed))
    own = garden.tree / "clusters" / PLEX / "secrets" / "hello.yaml"
    before = own.read_bytes()
    own.write_bytes(sealed.read_bytes())
    answer = garden.push(code=1)
    assert "failed: Kustomization secrets: " in answer.out
    assert "decrypt" in answer.out
    own.write_bytes(before)
    garden.push()


def test_a_plain_secret_is_not_pushed(garden: Garden) -> None:
    file = garden.tree / "apps" / APP / "plain.yaml"
    file.write_text("kind: Secret\nmetadata: {name: x}\nstringData: {word: open}\n")
    answer = garden.push(code=1)
    assert f"{file}:1" in answer.err
    file.unlink()


def test_a_restarted_source_leaves_nothing_stuck(garden: Garden) -> None:
    garden.cluster.run(
        *("-n", "flux-system", "delete", "pod", "-l", "app=source-controller", "--wait=false")
    )
    file = garden.tree / "apps" / APP / "config.yaml"
    file.write_text(file.read_text().replace("greetings", "best wishes"))
    garden.push()
    assert garden.greeting() == f"best wishes from {PLEX}"


def test_an_artifact_that_has_expired_is_fetched_again(garden: Garden) -> None:
    """Its files are gone, and nothing in the cluster says so."""
    [pod] = garden.cluster.get("pods", "-n", "flux-system", "-l", "app=source-controller")["items"]
    volume = f"/var/lib/kubelet/pods/{pod['metadata']['uid']}/volumes/kubernetes.io~empty-dir/data"
    words = ("find", volume, "-type", "f", "-name", "*.tar.gz", "-print", "-delete")
    assert host().execute(pod["spec"]["nodeName"], words).stdout
    garden.cluster.run("delete", "configmap", APP, "-n", APP)

    garden.lab.run("flux", "reconcile", PLEX, timeout=120)

    assert set(garden.states().values()) == {"ready"}
    assert garden.greeting() == f"best wishes from {PLEX}"


def test_an_app_that_is_suspended_stays_as_it_is(garden: Garden) -> None:
    garden.lab.run("flux", "suspend", APP, "--plex", PLEX)
    file = garden.tree / "apps" / APP / "config.yaml"
    file.write_text(file.read_text().replace("best wishes", "hello"))
    garden.push()
    assert garden.states()[APP] == "suspended"
    assert garden.greeting() == f"best wishes from {PLEX}"
    garden.lab.run("flux", "resume", APP, "--plex", PLEX)
    garden.lab.run("flux", "reconcile", PLEX)
    assert garden.greeting() == f"hello from {PLEX}"


def test_no_plain_secret_is_anywhere(garden: Garden) -> None:
    canary = garden.canary.encode()
    for file in (path for path in garden.tree.rglob("*") if path.is_file()):
        assert canary not in file.read_bytes(), file
    assert holds(REGISTRY, "hello from"), "what was pushed can be read"
    for node in (f"{PLEX}1", REGISTRY):
        assert not holds(node, garden.canary)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # In a container it is the app's, which is there to know it.
            if (process / "ns" / "pid").readlink() != Path("/proc/self/ns/pid").readlink():
                continue
            for name in ("cmdline", "environ"):
                assert canary not in (process / name).read_bytes(), process
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue


def test_a_new_master_comes_back_with_all_of_it(garden: Garden) -> None:
    garden.lab.run("replace", "master", "--plex", PLEX, "-y", timeout=300)
    assert garden.hello().startswith(APP)
    assert garden.secret() == garden.canary


def test_the_apps_come_from_git_with_the_derived_key(garden: Garden, tmp_path: Path) -> None:
    plexfile = garden.tree / "clusters" / PLEX / "plex.yaml"
    before = plexfile.read_text()
    bare = tmp_path / "lab.git"
    with serving(bare, GATEWAY) as server:
        (garden.tree / "clusters" / "known_hosts").write_text(server.known_hosts)
        plexfile.write_text(
            NETWORKS + f"gitops: {{engine: flux, source: '{server.url}', "
            "known_hosts: clusters/known_hosts, interval: 5}\n"
        )
        file = garden.tree / "apps" / APP / "config.yaml"
        file.write_text(file.read_text().replace("hello from", "from git for"))
        first = commit(garden.tree, bare, "the tree")
        answer = garden.lab.run("up", PLEX, code=1, timeout=120)
        assert "failed: GitRepository plex: " in answer.out, "its key is not allowed yet"

        server.allowed = garden.lab.run("flux", "key", PLEX).out
        garden.lab.run("up", PLEX, timeout=120)
        assert server.served > 0
        assert garden.greeting() == f"from git for {PLEX}"
        status = garden.lab.ask("flux", "status", PLEX)
        [source] = [row for row in status["rows"] if row["kind"] == "GitRepository"]
        assert source["revision"].endswith(first)

        file.write_text(file.read_text().replace("from git", "again from git"))
        commit(garden.tree, bare, "a change")

        eventually("the commit is live", lambda: "again" in garden.greeting(), seconds=30)
    answer = garden.lab.run("flux", "reconcile", PLEX, code=1, timeout=120)
    assert "failed: GitRepository plex: " in answer.out, "nobody serves it any more"
    assert "connection refused" in answer.out
    plexfile.write_text(before)
    garden.lab.run("up", PLEX, timeout=120)


def test_the_apps_come_with_a_token_from_git_and_signed_from_a_registry(
    garden: Garden, tmp_path: Path
) -> None:
    plexfile, word = garden.tree / "clusters" / PLEX / "plex.yaml", secrets.token_hex(16)
    before, greeting = plexfile.read_text(), garden.greeting()
    own = garden.cluster.get("secret", "plex-source-ca", "-n", "flux-system")
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(own["data"]["ca.crt"]))
    endpoint = garden.lab.ask("registry", "status")["endpoint"]
    pushed = garden.lab.ask("flux", "push", PLEX)["digest"]

    def take(scheme: str, path: str, server: Guarded, more: str = "") -> None:
        (garden.tree / "clusters" / "source.crt").write_text(server.certificate.pem)
        plexfile.write_text(
            f"{NETWORKS}gitops: {{source: '{scheme}://{server.place}/{path}', user: story, "
            f"ca: clusters/source.crt, interval: 5{more}}}\n"
        )

    file = garden.tree / "apps" / APP / "config.yaml"
    with guarding(Git(tmp_path), GATEWAY, "story", word) as server:
        take("https", "lab.git", server)
        file.write_text(file.read_text().replace("GREETING: ", "GREETING: over https, "))
        commit(garden.tree, tmp_path / "lab.git", "the tree")
        answer = garden.lab.run("up", PLEX, code=1, timeout=120)
        assert "failed: GitRepository plex: " in answer.out, "it has no token yet"

        garden.lab.run("flux", "token", PLEX, stdin=word)
        garden.lab.run("up", PLEX, timeout=120)
        assert garden.greeting() == f"over https, {greeting}"
        assert {200, 401} <= set(server.statuses)
    signed = Signed(Behind(f"https://{endpoint}", tmp_path / "ca.crt"), f"plexes/{PLEX}")
    (garden.tree / "clusters" / "cosign.pub").write_bytes(signed.public)
    with guarding(signed, GATEWAY, "story", word) as server:
        take("oci", signed.repository, server, ", tag: tree, verify: clusters/cosign.pub")
        answer = garden.lab.run("up", PLEX, code=1, timeout=120)
        assert "failed: OCIRepository plex: " in answer.out
        assert "no matching signatures" in answer.out or "no signatures" in answer.out, answer.out

        signed.sign(pushed)
        garden.lab.run("up", PLEX, timeout=120)
        assert garden.greeting() == greeting, "what was pushed there before"
    stored = plexfile.with_name("source-token.age")
    assert word.encode() not in stored.read_bytes()
    stored.unlink()
    plexfile.write_text(before)
    garden.lab.run("up", PLEX, timeout=120)


@pytest.mark.skipif(shutil.which("gpg") is None, reason="there is no gpg to sign with")
def test_only_signed_commits_are_applied(garden: Garden, tmp_path: Path) -> None:
    clusters, bare, keys = garden.tree / "clusters", tmp_path / "lab.git", tmp_path / "gpg"
    plexfile, file = clusters / PLEX / "plex.yaml", garden.tree / "apps" / APP / "config.yaml"
    before, greeting = plexfile.read_text(), garden.greeting()
    with signer(keys) as public, serving(bare, GATEWAY) as server:
        (clusters / "signers.asc").write_bytes(public)
        server.allowed = garden.lab.run("flux", "key", PLEX).out
        (clusters / "known_hosts").write_text(server.known_hosts)
        plexfile.write_text(
            f"{NETWORKS}gitops: {{source: '{server.url}', known_hosts: clusters/known_hosts, "
            "verify: clusters/signers.asc, interval: 5}\n"
        )
        file.write_text(file.read_text().replace("GREETING: ", "GREETING: signed, "))
        commit(garden.tree, bare, "by nobody")
        answer = garden.lab.run("up", PLEX, code=1, timeout=120)
        assert "failed: GitRepository plex: " in answer.out
        assert "signature" in answer.out
        assert garden.greeting() == greeting

        (garden.tree / "signed").touch()
        commit(garden.tree, bare, "by the one who may", signed=keys)
        garden.lab.run("up", PLEX, timeout=120)
        assert garden.greeting() == f"signed, {greeting}"
    plexfile.write_text(before)
    garden.lab.run("up", PLEX, timeout=120)


def holds(node: str, text: str) -> bool:
    """Whether any file of a node has it, packed ones too."""
    folders = "/var/log /var/lib/registry /etc /tmp"
    search = f"find {folders} -type f -exec zcat -f {{}} + 2>/dev/null | grep -qaF '{text}'"
    return host().execute(node, ("/bin/sh", "-c", search)).code == 0
