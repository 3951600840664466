"""The verb `init`."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexctl.config.load import load_lab
from plexctl.config.networks import default_networks
from plexctl.errors import UsageError
from plexctl.keys.seed import key_file, load, user_config_dir
from plexctl.model.secret import Secret
from plexctl.workflow.lab.init import init


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_a_seed_is_locked_with_the_users_key(tmp_path: Path) -> None:
    result = init(tmp_path, "lab")

    assert result.key_file == key_file(user_config_dir())
    assert load(tmp_path, user_config_dir()).lab_id


def test_a_seed_locked_with_a_passphrase_needs_no_key(tmp_path: Path) -> None:
    passphrase = Secret(b"sesame")

    result = init(tmp_path, "lab", passphrase)

    assert result.key_file is None
    assert not key_file(user_config_dir()).exists()
    assert load(tmp_path, user_config_dir(), lambda: passphrase).lab_id


def test_init_again_changes_nothing(tmp_path: Path) -> None:
    init(tmp_path, "lab")

    assert init(tmp_path, "lab").written == ()


def test_init_with_gitops_writes_a_tree_for_flux(tmp_path: Path) -> None:
    result = init(tmp_path, "lab", gitops=True, apps=["podinfo"])

    assert len(result.written) == len(set(result.written))
    assert {tmp_path / "clusters/hosts.yaml", tmp_path / "apps/podinfo/release.yaml"} <= set(
        result.written
    )
    assert init(tmp_path, "lab", gitops=True, apps=["podinfo"]).written == ()


def test_gitops_is_added_to_a_lab_that_is_there(tmp_path: Path) -> None:
    init(tmp_path, "lab")

    written = init(tmp_path, None, gitops=True).written

    assert tmp_path / "clusters/lab/plex.yaml" in written
    assert tmp_path / "clusters/lab/kustomization.yaml" in written


def test_a_second_plex_keeps_off_the_registry(tmp_path: Path) -> None:
    """Its default networks are those that the registry of this lab has taken."""
    init(tmp_path, "lab")
    taken = default_networks("other").nodes
    hosts = tmp_path / "clusters/hosts.yaml"
    hosts.write_text(hosts.read_text() + f"registry: {{network: {taken}}}\n")

    init(tmp_path, "other", gitops=True)

    lab = load_lab(tmp_path, ["1.36.3"])
    assert not lab.plexes["other"].networks.nodes.overlaps(taken)


def test_an_unknown_app_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no app 'hallo'"):
        init(tmp_path, "lab", gitops=True, apps=["hallo"])
    assert list(tmp_path.iterdir()) == []
