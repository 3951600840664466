"""A plex on a Proxmox host, through plexctl's own verbs: the host is a fake one over real HTTPS.

Its VMs boot nothing, so no API of a cluster answers: nobody waits for it. The same story is told
under both engines; OpenTofu is the pinned one, with a provider of our own.
"""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pycdlib
import pytest
import yaml

from plexctl.model.secret import Secret
from plexctl.workflow.context import Context, open_lab
from plexctl.workflow.host_tokens import store_host_token
from plexctl.workflow.images import names_of_images
from tests.fake_pve import FakePve, Guest
from tests.proxmox import client_of, with_template

from ..provider.mirror import Served, install_mirror
from ..provider.tofu import stored_tofu
from .support import Lab, eventually

TOKEN = "plexctl@pve!lab"
PROVIDER = Served("proxmox", "bpg/proxmox", "0.78.2")
STATE = Path("terraform.tfstate")

# What a process is given is seen by all that may look at it.
RECORDER = """\
#!/bin/sh
{{ env; echo "$@"; }} >> {log}
exec {program} "$@"
"""


@dataclass(frozen=True)
class Story:
    engine: str
    lab: Lab
    pve: FakePve
    secret: str

    @property
    def folder(self) -> Path:
        """Where OpenTofu works."""
        return self.lab.root / ".plexctl" / "plexes" / "tale" / "tofu"

    def nodes(self) -> dict[str, Guest]:
        return {guest.name: guest for guest in self.pve.vms.values() if not guest.template}

    def identities(self) -> dict[str, str]:
        """An identifier may be given again; this one is of each VM alone."""
        return {name: guest.config["vmgenid"] for name, guest in self.nodes().items()}

    def plexctl(self, *words: str, code: int | None = 0) -> str:
        answer = self.lab.run(*words, code=code, timeout=120)
        return answer.out + answer.err


@pytest.fixture(scope="module", params=["direct", "tofu"])
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    with FakePve(task_seconds=0.05, clone_seconds=0.3, agent_seconds=0.5) as pve:
        root, home = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home")
        _write_lab(root, pve, request.param)
        environment = {"XDG_CACHE_HOME": str(home), **_with_tofu(tmp_path_factory.mktemp("tofu"))}
        lab = Lab(root, home, environment=environment)
        secret = pve.add_token("plexctl@pve", "lab")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CONFIG_HOME", str(home))
            ctx = open_lab(root, cache=home / "plexctl", listener=lambda event: None)
        store_host_token(ctx.lab, ctx.seed, "pve1", Secret(secret.encode()))
        _with_templates(ctx)
        yield Story(request.param, lab, pve, secret)


def _with_tofu(folder: Path) -> dict[str, str]:
    """An environment in which OpenTofu is found, and what it is given is written down."""
    (folder / "real").mkdir()
    (folder / "bin").mkdir()
    wrapper = folder / "bin" / "tofu"
    log = folder / "given.log"
    wrapper.write_text(RECORDER.format(log=log, program=stored_tofu(folder / "real")))
    wrapper.chmod(0o755)
    return {
        "TF_CLI_CONFIG_FILE": str(install_mirror(folder, PROVIDER)),
        "PATH": f"{wrapper.parent}:{os.environ['PATH']}",
        "GIVEN": str(log),
    }


def _write_lab(root: Path, pve: FakePve, engine: str) -> None:
    pin = pve.fingerprint.replace(":", "").lower()
    proxmox = {"token": TOKEN}
    host = {"kind": "proxmox", "url": pve.url, "certificate": pin, "bridge": "vmbr0"}
    box = {
        "role": "box",
        "base": "cloud",
        "kubernetes": True,
        "layers": [{"name": "box"}],
    }
    networks = {
        "nodes": "10.77.0.0/24",
        "pods": "10.78.0.0/16",
        "services": "10.79.0.0/16",
        "link": "bridge",
        "router": "10.77.0.1",
        "vlan": 7,
    }
    files: dict[str, object] = {
        "clusters/hosts.yaml": {
            "hosts": {"pve1": {**host, "pool": "local-lvm", "proxmox": proxmox}}
        },
        "clusters/tale/plex.yaml": {
            "type": "box",
            "workers": 2,
            "engine": engine,
            "networks": networks,
        },
        "types/box.yaml": {**box, "size": {"cpu": 2, "memory": "3GiB", "disk": "20GiB"}},
        "types/bases.yaml": {
            "cloud": {
                "release": "bookworm",
                "form": "vm",
                "source": "cloud",
                "url": "https://images.test/cloud.qcow2",
                "checksum": "sha512:" + "0" * 128,
                "packages": ["qemu-guest-agent"],
            }
        },
        "roles/box/tasks/box.yml": [{"name": "Nothing", "ansible.builtin.meta": "noop"}],
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))


def _with_templates(ctx: Context) -> None:
    """What a bake would have made: test_bake_proxmox has one."""
    (name,) = names_of_images(ctx, ctx.lab.plexes["tale"]).values()
    with_template(ctx.hosts["pve1"], name, ctx.seed.lab_id)  # type: ignore[arg-type]


def test_a_plex_of_vms_comes_up_and_then_nothing_is_left_to_do(story: Story) -> None:
    story.plexctl("up", "tale", "--no-wait")
    nodes = story.nodes()
    config = nodes["tale1"].config

    assert set(nodes) == {"tale1", "tale2", "tale3"}
    assert all(guest.running for guest in nodes.values())
    assert ",bridge=vmbr0,tag=7" in config["net0"]
    assert "size=20G" in config["scsi0"]
    assert int(config["memory"]) == 3072
    assert min(story.pve.vms) >= 9000
    assert "no changes" in story.plexctl("plan", "tale") or story.lab.ask("plan")["changes"] == []


def test_each_node_finds_its_own_files_on_its_seed(story: Story) -> None:
    seen = set()
    for name, guest in story.nodes().items():
        volume = guest.config["ide2"].partition(",")[0]
        iso, boot, meta = pycdlib.PyCdlib(), io.BytesIO(), io.BytesIO()
        iso.open_fp(io.BytesIO(story.pve.storages["local"].volumes[volume].data))
        iso.get_file_from_iso_fp(boot, rr_path="/boot.tar")
        iso.get_file_from_iso_fp(meta, rr_path="/meta-data")
        assert yaml.safe_load(meta.getvalue())["local-hostname"] == name
        assert b"etc/plexctl/network.batch" in boot.getvalue()
        seen.add(boot.getvalue())

    assert len(seen) == 3


def test_programs_run_on_a_node_through_its_agent(story: Story) -> None:
    story.pve.on_exec = lambda guest, argv, given: (7, f"{guest.name} {argv[-1]}\n", "")

    assert "tale2 a b" in story.plexctl("exec", "tale2", "--", "echo", "a b", code=7)


def test_status_tells_what_is_there_though_no_api_answers(story: Story) -> None:
    answer = story.lab.run("status", "tale", "--json", code=1)
    rows = {row["name"]: row["instance"] for row in json.loads(answer.out)["nodes"]}

    assert rows == dict.fromkeys(("tale1", "tale2", "tale3"), "Running")


def test_scaling_leaves_the_others_as_they_are(story: Story) -> None:
    before = story.identities()
    story.plexctl("scale", "tale", "--workers", "3", "--no-wait", "-y")
    more = story.identities()
    story.plexctl("scale", "tale", "--workers", "2", "--no-wait", "-y")

    assert more == {**before, "tale4": more["tale4"]}
    assert story.identities() == before


def test_replacing_makes_what_is_named_anew_and_a_master_its_workers(story: Story) -> None:
    before = story.identities()
    story.plexctl("replace", "tale2", "--no-wait", "-y")
    one = story.identities()
    story.plexctl("replace", "master", "--no-wait", "-y")
    every = story.identities()

    assert {name for name in before if before[name] != one[name]} == {"tale2"}
    assert {name for name in one if one[name] != every[name]} == set(one)


def test_locks_and_a_node_out_of_reach_for_a_moment_are_no_failures(story: Story) -> None:
    story.pve.fail_next("POST", r"/clone$", 500, "VM is locked (clone)", count=2)
    story.pve.fail_next("GET", r"/nodes/pve1/qemu$", 595, "Connection timed out", count=2)
    if story.engine == "direct":  # what the provider does about it is its own affair
        story.pve.fail_next("PUT", r"/config$", 596, "Broken pipe", after=True)

    story.plexctl("replace", "tale3", "--no-wait", "-y")
    assert len(story.nodes()) == 3


def test_a_run_that_failed_half_way_is_mended_by_the_next(story: Story) -> None:
    story.pve.fail_task("imgcopy", "no space left on device")
    said = story.plexctl("replace", "tale3", "--no-wait", "-y", code=1)
    story.plexctl("up", "tale", "--no-wait")

    assert "no space left on device" in said
    assert set(story.nodes()) == {"tale1", "tale2", "tale3"}


def test_a_privilege_that_is_missing_is_named(story: Story) -> None:
    rights = {"/": ["VM.Audit", "VM.Allocate", "Datastore.Audit", "Sys.Audit"]}
    identity, secret = story.pve.access.tokens[TOKEN]
    poor = client_of(story.pve, rights)
    story.pve.access.tokens[TOKEN] = (story.pve.access.tokens[TOKEN][0], secret)
    said = story.plexctl("replace", "tale3", "--no-wait", "-y", code=1)
    story.pve.access.tokens[TOKEN] = (identity, secret)

    assert poor.host.name == "pve1"
    if story.engine == "direct":
        assert "the token plexctl@pve!lab lacks" in said
        assert "pveum acl modify" in said
    else:
        assert "Permission check failed" in said
    assert "Traceback" not in said
    story.plexctl("up", "tale", "--no-wait")


def test_a_host_that_does_not_answer_is_reported_in_bounded_time(story: Story) -> None:
    story.pve.node_down("pve1")
    said = story.plexctl("up", "tale", "--no-wait", code=1)
    story.pve.node_up("pve1")

    assert "node pve1 cannot be reached" in said
    assert "No route to host" in said


def test_a_plex_goes_from_one_engine_to_the_other_and_no_vm_is_made_anew(story: Story) -> None:
    before, since = story.identities(), {n: g.started for n, g in story.nodes().items()}
    other = {"direct": "tofu", "tofu": "direct"}[story.engine]
    for engine in (other, story.engine):
        story.plexctl("engine", engine, "tale")
        answer = story.lab.ask("plan")
        assert answer["changes"] == []
        assert (answer["tofu"] or {"changes": []})["changes"] == []
        assert story.folder.exists() == (engine == "tofu")

    assert story.identities() == before
    assert {n: g.started for n, g in story.nodes().items()} == since


def test_a_tofu_that_is_killed_leaves_nothing_that_the_next_run_does_not_mend(
    story: Story,
) -> None:
    if story.engine == "direct":
        pytest.skip("there is no OpenTofu")
    story.pve.clone_seconds = 1.0
    before = set(story.pve.vms)
    process = story.lab.start("scale", "tale", "--workers", "5", "--no-wait", "-y")
    eventually("a clone is under way", lambda: set(story.pve.vms) != before)
    for pid in _working_in(story.folder):
        os.kill(pid, signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    story.pve.clone_seconds = 0.3
    story.plexctl("scale", "tale", "--workers", "5", "--no-wait", "-y")
    names = [guest.name for guest in story.pve.vms.values() if not guest.template]
    story.plexctl("scale", "tale", "--workers", "2", "--no-wait", "-y")

    assert "was killed" in said
    assert sorted(names) == [f"tale{number}" for number in range(1, 7)]
    assert set(story.nodes()) == {"tale1", "tale2", "tale3"}


def test_what_a_killed_provider_has_cloned_goes_with_the_plex(story: Story) -> None:
    """Until it is configured, a clone has the notes of its template."""
    (template,) = [guest for guest in story.pve.vms.values() if guest.template]
    config = {"name": "tale9", "description": template.config["description"], "vmgenid": "-"}
    config["tags"] = template.config["tags"]
    story.pve.vms[12345] = Guest(12345, "pve1", "qemu", config)
    story.plexctl("up", "tale", "--no-wait")

    assert set(story.nodes()) == {"tale1", "tale2", "tale3"}


def _working_in(folder: Path) -> list[int]:
    """Processes of OpenTofu there, and the providers that they have started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found


def test_the_secret_of_the_token_is_nowhere_to_be_read(story: Story) -> None:
    files = [path for path in story.lab.root.rglob("*") if path.is_file()]
    story.plexctl("plan", "tale")
    given = Path(story.lab.environment["GIVEN"])
    files += [given] if given.exists() else []
    readable = [path for path in files if story.secret.encode() in path.read_bytes()]

    assert readable == []
    assert (story.folder / "proxmox" / STATE).exists() == (story.engine == "tofu")
    assert (story.lab.root / "clusters" / "hosts" / "pve1.token.age") in files
    for request in story.pve.requests:
        assert story.secret not in request.path + repr(sorted(map(str, request.params.values())))


def test_destroying_leaves_neither_vms_nor_seeds(story: Story) -> None:
    story.plexctl("destroy", "tale", "--images", "-y")

    assert story.pve.vms == {}
    assert list(story.pve.storages["local"].volumes) == []
    assert list(story.pve.storages["local-lvm"].volumes) == []
