"""The verbs `secret` as a user has them, with a stand-in for SOPS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..conftest import FakeSops
from .conftest import HOSTS, Plexctl

PLAIN = "kind: Secret\nmetadata: {name: web}\nstringData: {password: canary}\n"


@pytest.fixture(autouse=True)
def with_sops(fake_sops: FakeSops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plexctl.workflow.gitops.secrets.found_tool", lambda *_: fake_sops.binary)


@pytest.fixture
def web(lab: Path) -> Path:
    file = lab / "apps" / "web.yaml"
    file.parent.mkdir()
    file.write_text(PLAIN)
    return file


def test_encrypt_edit_rotate(plexctl: Plexctl, web: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plexctl("secret", "encrypt", "apps/web.yaml").out == "encrypted apps/web.yaml\n"
    again = plexctl("secret", "encrypt", "apps/web.yaml").out
    assert again == "encrypted already: apps/web.yaml\n"
    monkeypatch.setenv("VISUAL", "sed -i s/canary/sparrow/")
    assert plexctl("secret", "edit", "apps/web.yaml").out == "encrypted apps/web.yaml\n"
    assert plexctl("secret", "edit", "apps/web.yaml").out == "unchanged: apps/web.yaml\n"
    assert plexctl("secret", "rotate").out == "rotated apps/web.yaml\n"
    assert "canary" not in web.read_text()


def test_the_key_follows_from_the_seed_and_the_epoch(
    plexctl: Plexctl, lab: Path, web: Path, fake_sops: FakeSops
) -> None:
    """The key follows from the seed and the epoch, which clusters/hosts.yaml says."""
    answers = []
    for epoch in (1, 1, 2):
        (lab / "clusters" / "hosts.yaml").write_text(f"{HOSTS}secrets: {{epoch: {epoch}}}\n")
        web.write_text(PLAIN)
        plexctl("secret", "encrypt", "apps/web.yaml")
        answers.append(json.loads(plexctl("secret", "rotate", "--json").out))
    assert answers[0] == answers[1]
    assert answers[0]["recipient"] != answers[2]["recipient"]
    assert answers[0].keys() == {"version", "action", "files", "recipient"}
    assert answers[0]["files"] == [{"file": str(web), "changed": True, "others": []}]


def test_all_faults_of_files_are_in_one_error(plexctl: Plexctl, lab: Path, web: Path) -> None:
    web.write_text("kind: ConfigMap\n")
    refused = plexctl("secret", "encrypt", "apps/web.yaml")
    assert refused.code == 1
    assert "\n  apps/web.yaml:1: " in refused.err
    assert "hint:" in refused.err
    assert plexctl("secret", "encrypt", "nothing.yaml").code == 1
    assert plexctl("secret", "encrypt", "apps").code == 2
    assert plexctl("secret", "rotate", "apps/web.yaml").code == 1
    (lab / "clusters" / "hosts.yaml").write_text(f"{HOSTS}secrets: {{epoch: 0}}\n")
    assert "secrets.epoch" in plexctl("secret", "rotate").err


def test_rotate_without_secrets(plexctl: Plexctl, lab: Path) -> None:
    assert plexctl("secret", "rotate").out == "no encrypted file in clusters/ and apps/\n"
