"""Apps: brought up by Flux from the lab's registry and from git, with their secrets, in order."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .flux_changes import ChangingTree, changes, owned
from .git_server import commit, serving, signer
from .gitops_lab import APP, GATEWAY, NETWORKS, PLEX, REGISTRY, GitopsLab, make_gitops_lab
from .plays import play
from .private_sources import Behind, Git, PrivateSources, Signed, private_sources
from .support import Lab, eventually, host


@pytest.fixture(scope="module")
def gitops_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitopsLab]:
    with make_gitops_lab(tmp_path_factory) as gitops_lab:
        yield gitops_lab


def test_up_brings_the_apps_with_their_secrets(gitops_lab: GitopsLab) -> None:
    assert gitops_lab.hello().startswith(APP)
    assert gitops_lab.secret() == gitops_lab.canary
    states = gitops_lab.states()
    assert set(states.values()) == {"ready"}
    assert {"plex", "secrets", "infra", APP} <= states.keys()


def test_a_second_up_changes_nothing(gitops_lab: GitopsLab) -> None:
    pods = gitops_lab.cluster.run("get", "pods", "-A", "-o", "name")
    answer = gitops_lab.lab.run("up", PLEX)
    assert "nothing to do" in answer.out
    assert gitops_lab.cluster.run("get", "pods", "-A", "-o", "name") == pods


def test_a_change_is_shown_and_then_live_without_a_commit(gitops_lab: GitopsLab) -> None:
    file = gitops_lab.tree / "apps" / APP / "config.yaml"
    file.write_text(file.read_text().replace("hello from", "greetings from"))

    diff = gitops_lab.lab.run("flux", "diff", PLEX, code=3)
    assert "greetings from" in diff.out
    assert gitops_lab.canary not in diff.out + diff.err
    assert gitops_lab.greeting() == f"hello from {PLEX}"

    gitops_lab.push()
    assert gitops_lab.greeting() == f"greetings from {PLEX}"
    gitops_lab.lab.run("flux", "diff", PLEX, code=0)


def test_a_push_changes_exactly_what_diff_said(gitops_lab: GitopsLab) -> None:
    """Patches, functions of variables, moves, names with colons, and objects that Flux keeps."""
    tree = ChangingTree(gitops_lab.tree, PLEX)
    tree.write_before()
    gitops_lab.push()
    before = owned(gitops_lab.cluster)
    wanted = tree.write_after()

    answer = gitops_lab.lab.run("flux", "diff", PLEX, "--json", code=3)
    said = json.loads(answer.out)
    gitops_lab.push()

    assert said["failures"] == []
    assert {one["object"]: one["action"] for one in said["changes"]} == wanted
    # Flux deletes the objects of a Kustomization after the push has ended.
    eventually(
        "the cluster has exactly these changes",
        lambda: changes(before, owned(gitops_lab.cluster)) == wanted,
    )
    gitops_lab.lab.run("flux", "diff", PLEX, code=0)
    tree.remove()
    gitops_lab.push()


def test_fluxstrap_does_what_up_does(gitops_lab: GitopsLab) -> None:
    file = gitops_lab.tree / "apps" / APP / "config.yaml"
    before = file.read_text()
    file.write_text(before.replace("greetings", "hearty greetings"))

    played = play(gitops_lab.lab, "fluxstrap.yml", f"plex={PLEX}")

    assert played.code == 0, played.text
    assert gitops_lab.greeting() == f"hearty greetings from {PLEX}"
    file.write_text(before)


def test_a_broken_app_is_reported_and_stops_no_other(gitops_lab: GitopsLab) -> None:
    gitops_lab.add_app(
        "broken",
        "apiVersion: apps/v1\nkind: Deployment\n"
        "metadata: {name: broken, namespace: default}\nspec: {replicas: many}\n",
    )
    gitops_lab.add_app(
        "fine",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fine, namespace: default}\n",
    )
    answer = gitops_lab.lab.run("up", PLEX, code=1)
    assert "failed: Kustomization broken: " in answer.out
    assert "replicas" in answer.out
    assert "3 nodes Ready" in answer.out
    assert gitops_lab.cluster.get("configmap", "fine")["metadata"]["name"] == "fine"
    gitops_lab.drop_app("broken")
    gitops_lab.drop_app("fine")
    gitops_lab.push()
    assert "fine" not in gitops_lab.cluster.run("get", "configmap", "-o", "name")


def test_a_cycle_is_reported_and_repaired_by_the_next_push(gitops_lab: GitopsLab) -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, namespace: default}\n"
    gitops_lab.add_app("egg", manifest.replace("NAME", "egg"), depends_on="hen")
    gitops_lab.add_app("hen", manifest.replace("NAME", "hen"), depends_on="egg")
    answer = gitops_lab.push(code=1)
    assert "egg -> hen -> egg" in answer.err or "hen -> egg -> hen" in answer.err
    gitops_lab.drop_app("egg")
    gitops_lab.drop_app("hen")
    gitops_lab.push()


def test_a_secret_for_another_key_is_reported(gitops_lab: GitopsLab, tmp_path: Path) -> None:
    stranger = Lab(tmp_path / "lab", tmp_path / "home", environment=gitops_lab.lab.environment)
    stranger.root.mkdir()
    stranger.run("init", "--gitops", "other")
    sealed = stranger.root / "clusters" / "other" / "secrets" / "hello.yaml"
    stranger.run("secret", "edit", str(sealed))
    own = gitops_lab.tree / "clusters" / PLEX / "secrets" / "hello.yaml"
    before = own.read_bytes()
    own.write_bytes(sealed.read_bytes())
    answer = gitops_lab.push(code=1)
    assert "failed: Kustomization secrets: " in answer.out
    assert "decrypt" in answer.out
    own.write_bytes(before)
    gitops_lab.push()


def test_a_plain_secret_is_not_pushed(gitops_lab: GitopsLab) -> None:
    file = gitops_lab.tree / "apps" / APP / "plain.yaml"
    file.write_text("kind: Secret\nmetadata: {name: x}\nstringData: {word: open}\n")
    answer = gitops_lab.push(code=1)
    assert f"{file}:1" in answer.err
    file.unlink()


def test_a_restarted_source_leaves_nothing_stuck(gitops_lab: GitopsLab) -> None:
    gitops_lab.cluster.run(
        *("-n", "flux-system", "delete", "pod", "-l", "app=source-controller", "--wait=false")
    )
    file = gitops_lab.tree / "apps" / APP / "config.yaml"
    file.write_text(file.read_text().replace("greetings", "best wishes"))
    gitops_lab.push()
    assert gitops_lab.greeting() == f"best wishes from {PLEX}"


def test_an_artifact_that_has_expired_is_fetched_again(gitops_lab: GitopsLab) -> None:
    """Its files are gone, and nothing in the cluster says so."""
    [pod] = gitops_lab.cluster.get("pods", "-n", "flux-system", "-l", "app=source-controller")[
        "items"
    ]
    volume = f"/var/lib/kubelet/pods/{pod['metadata']['uid']}/volumes/kubernetes.io~empty-dir/data"
    words = ("find", volume, "-type", "f", "-name", "*.tar.gz", "-print", "-delete")
    assert host().execute(pod["spec"]["nodeName"], words).stdout
    gitops_lab.cluster.run("delete", "configmap", APP, "-n", APP)

    gitops_lab.lab.run("flux", "reconcile", PLEX)

    assert set(gitops_lab.states().values()) == {"ready"}
    assert gitops_lab.greeting() == f"best wishes from {PLEX}"


def test_an_app_that_is_suspended_stays_as_it_is(gitops_lab: GitopsLab) -> None:
    gitops_lab.lab.run("flux", "suspend", APP, "--plex", PLEX)
    file = gitops_lab.tree / "apps" / APP / "config.yaml"
    file.write_text(file.read_text().replace("best wishes", "hello"))
    gitops_lab.push()
    assert gitops_lab.states()[APP] == "suspended"
    assert gitops_lab.greeting() == f"best wishes from {PLEX}"
    gitops_lab.lab.run("flux", "resume", APP, "--plex", PLEX)
    gitops_lab.lab.run("flux", "reconcile", PLEX)
    assert gitops_lab.greeting() == f"hello from {PLEX}"


def test_no_plain_secret_is_anywhere(gitops_lab: GitopsLab) -> None:
    canary = gitops_lab.canary.encode()
    for file in (path for path in gitops_lab.tree.rglob("*") if path.is_file()):
        assert canary not in file.read_bytes(), file
    assert holds(REGISTRY, "hello from"), "what was pushed can be read"
    for node in (f"{PLEX}1", REGISTRY):
        assert not holds(node, gitops_lab.canary)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # In a container it is the app's, which is there to know it.
            if (process / "ns" / "pid").readlink() != Path("/proc/self/ns/pid").readlink():
                continue
            for name in ("cmdline", "environ"):
                assert canary not in (process / name).read_bytes(), process
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue


def test_a_new_master_comes_back_with_all_of_it(gitops_lab: GitopsLab) -> None:
    gitops_lab.lab.run("replace", "master", "--plex", PLEX, "-y", timeout=300)
    assert gitops_lab.hello().startswith(APP)
    assert gitops_lab.secret() == gitops_lab.canary


def test_the_apps_come_from_git_with_the_derived_key(gitops_lab: GitopsLab, tmp_path: Path) -> None:
    plexfile = gitops_lab.tree / "clusters" / PLEX / "plex.yaml"
    before = plexfile.read_text()
    bare = tmp_path / "lab.git"
    with serving(bare, GATEWAY) as server:
        (gitops_lab.tree / "clusters" / "known_hosts").write_text(server.known_hosts)
        plexfile.write_text(
            NETWORKS + f"gitops: {{engine: flux, source: '{server.url}', "
            "known_hosts: clusters/known_hosts, interval: 5}\n"
        )
        file = gitops_lab.tree / "apps" / APP / "config.yaml"
        file.write_text(file.read_text().replace("hello from", "from git for"))
        first = commit(gitops_lab.tree, bare, "the tree")
        answer = gitops_lab.lab.run("up", PLEX, code=1)
        assert "failed: GitRepository plex: " in answer.out, "its key is not allowed yet"

        server.allowed = gitops_lab.lab.run("flux", "key", PLEX).out
        gitops_lab.lab.run("up", PLEX)
        assert server.served > 0
        assert gitops_lab.greeting() == f"from git for {PLEX}"
        status = gitops_lab.lab.ask("flux", "status", PLEX)
        [source] = [row for row in status["objects"] if row["kind"] == "GitRepository"]
        assert source["revision"].endswith(first)

        file.write_text(file.read_text().replace("from git", "again from git"))
        commit(gitops_lab.tree, bare, "a change")

        eventually("the commit is live", lambda: "again" in gitops_lab.greeting())
    answer = gitops_lab.lab.run("flux", "reconcile", PLEX, code=1)
    assert "failed: GitRepository plex: " in answer.out, "nobody serves it any more"
    assert "connection refused" in answer.out
    plexfile.write_text(before)
    gitops_lab.lab.run("up", PLEX)


def test_the_apps_come_with_a_token_from_git_and_signed_from_a_registry(
    gitops_lab: GitopsLab, tmp_path: Path
) -> None:
    plexfile, word = gitops_lab.tree / "clusters" / PLEX / "plex.yaml", secrets.token_hex(16)
    before, greeting = plexfile.read_text(), gitops_lab.greeting()
    own = gitops_lab.cluster.get("secret", "plex-source-ca", "-n", "flux-system")
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(own["data"]["ca.crt"]))
    endpoint = gitops_lab.lab.ask("registry", "status")["endpoint"]
    pushed = gitops_lab.lab.ask("flux", "push", PLEX)["digest"]

    def take(scheme: str, path: str, server: PrivateSources, more: str = "") -> None:
        (gitops_lab.tree / "clusters" / "source.crt").write_text(server.certificate.pem)
        plexfile.write_text(
            f"{NETWORKS}gitops: {{source: '{scheme}://{server.place}/{path}', user: story, "
            f"ca: clusters/source.crt, interval: 5{more}}}\n"
        )

    file = gitops_lab.tree / "apps" / APP / "config.yaml"
    with private_sources(Git(tmp_path), GATEWAY, "story", word) as server:
        take("https", "lab.git", server)
        file.write_text(file.read_text().replace("GREETING: ", "GREETING: over https, "))
        commit(gitops_lab.tree, tmp_path / "lab.git", "the tree")
        answer = gitops_lab.lab.run("up", PLEX, code=1)
        assert "failed: GitRepository plex: " in answer.out, "it has no token yet"

        gitops_lab.lab.run("flux", "token", PLEX, stdin=word)
        gitops_lab.lab.run("up", PLEX)
        assert gitops_lab.greeting() == f"over https, {greeting}"
        assert {200, 401} <= set(server.statuses)
    signed = Signed(Behind(f"https://{endpoint}", tmp_path / "ca.crt"), f"plexes/{PLEX}")
    (gitops_lab.tree / "clusters" / "cosign.pub").write_bytes(signed.public)
    with private_sources(signed, GATEWAY, "story", word) as server:
        take("oci", signed.repository, server, ", tag: tree, verify: clusters/cosign.pub")
        answer = gitops_lab.lab.run("up", PLEX, code=1)
        assert "failed: OCIRepository plex: " in answer.out
        assert "no matching signatures" in answer.out or "no signatures" in answer.out, answer.out

        signed.sign(pushed)
        gitops_lab.lab.run("up", PLEX)
        assert gitops_lab.greeting() == greeting, "what was pushed there before"
    stored = plexfile.with_name("source-token.age")
    assert word.encode() not in stored.read_bytes()
    stored.unlink()
    plexfile.write_text(before)
    gitops_lab.lab.run("up", PLEX)


@pytest.mark.skipif(shutil.which("gpg") is None, reason="there is no gpg to sign with")
def test_only_signed_commits_are_applied(gitops_lab: GitopsLab, tmp_path: Path) -> None:
    clusters, bare, keys = gitops_lab.tree / "clusters", tmp_path / "lab.git", tmp_path / "gpg"
    plexfile, file = clusters / PLEX / "plex.yaml", gitops_lab.tree / "apps" / APP / "config.yaml"
    before, greeting = plexfile.read_text(), gitops_lab.greeting()
    with signer(keys) as public, serving(bare, GATEWAY) as server:
        (clusters / "signers.asc").write_bytes(public)
        server.allowed = gitops_lab.lab.run("flux", "key", PLEX).out
        (clusters / "known_hosts").write_text(server.known_hosts)
        plexfile.write_text(
            f"{NETWORKS}gitops: {{source: '{server.url}', known_hosts: clusters/known_hosts, "
            "verify: clusters/signers.asc, interval: 5}\n"
        )
        file.write_text(file.read_text().replace("GREETING: ", "GREETING: signed, "))
        commit(gitops_lab.tree, bare, "by nobody")
        answer = gitops_lab.lab.run("up", PLEX, code=1)
        assert "failed: GitRepository plex: " in answer.out
        assert "signature" in answer.out
        assert gitops_lab.greeting() == greeting

        (gitops_lab.tree / "signed").touch()
        commit(gitops_lab.tree, bare, "by the one who may", signed=keys)
        gitops_lab.lab.run("up", PLEX)
        assert gitops_lab.greeting() == f"signed, {greeting}"
    plexfile.write_text(before)
    gitops_lab.lab.run("up", PLEX)


def holds(node: str, text: str) -> bool:
    """Whether any file of a node has it, packed ones too."""
    folders = "/var/log /var/lib/registry /etc /tmp"
    search = f"find {folders} -type f -exec zcat -f {{}} + 2>/dev/null | grep -qaF '{text}'"
    return host().execute(node, ("/bin/sh", "-c", search)).code == 0
