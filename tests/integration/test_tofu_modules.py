"""terraform/ with the pinned OpenTofu, a provider of our own and the real Incus; no plexctl."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from plexctl.model.condition import Condition, Seen, wait

from ..provider.incus.client import NotFoundError, Server
from ..provider.tiny import remove_image, tiny_image
from ..provider.tofu import Tofu, root, stored_tofu
from .support import LOCAL, eventually, host

NAME = "tofumod"  # of all that is made here
IMAGES = (f"{NAME}-a", f"{NAME}-b")
NETWORK, PROFILE, VOLUME = f"local/{NAME}", f"local/{NAME}-kube", f"local/{NAME}-data"
SECRET = "what only a node may have"
GENERATION = "terraform_data.generation"
MASTER, WORKER = f"{NAME}1", (f"{NAME}2", f"{NAME}3")
VOLUME_RESOURCE = f'incus_storage_volume.volume["{VOLUME}"]'
SEED_RESOURCE = VOLUME_RESOURCE.replace("volume.volume", "volume.seed")
LIVES = ("generation", "lineage", "content")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_tofu(tmp_path_factory.mktemp("tofu"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The local Incus with two images that differ in nothing but their names."""
    server = Server("local", f"unix://{LOCAL.address}", Path())
    clean(server)
    for image in IMAGES:
        tiny_image(server, image, tmp_path_factory.mktemp("image"))
    yield server
    clean(server)
    for image in IMAGES:
        remove_image(server, image)


@pytest.fixture
def tofu(program: Path, server: Server, tmp_path: Path) -> Iterator[Tofu]:
    """A root that is ready; whatever is left of it is removed."""
    tofu = root(program, tmp_path)
    (tmp_path / "boot.tar").write_text(SECRET)
    tofu.run("init")
    yield tofu
    clean(server)


def clean(server: Server) -> None:
    """Remove all that an earlier session may have left."""
    incus = host()
    for name in instances(server):
        incus.delete_instance(name)
    for path in (
        ("profiles", f"{NAME}-kube"),
        ("profiles", f"{NAME}-far"),
        ("networks", NAME),
        ("storage-pools", LOCAL.pool, "volumes", "custom", f"{NAME}-data"),
    ):
        try:
            server.call("DELETE", path)
        except NotFoundError:
            continue


def instances(server: Server) -> dict[str, str]:
    """Instances of these tests by name, with what is different for each one that was ever made."""
    found = server.get("instances", recursion="1")
    return {
        one["name"]: one["config"]["volatile.uuid"] for one in found if one["name"].startswith(NAME)
    }


def variables(tofu: Tofu, number: int = 3, *, stopped: bool = False) -> dict[str, Any]:
    """A master and its workers, as plexctl writes them."""
    tags = {"user.plex.lab": NAME}
    return {
        "plex": NAME,
        "config_dir": None,
        "hosts": {"local": {"address": f"unix://{LOCAL.address}"}},
        "networks": {
            NETWORK: {
                "host": "local",
                "name": NAME,
                "config": {"ipv4.address": "10.199.77.1/24", "ipv6.address": "none", **tags},
            }
        },
        "profiles": {
            PROFILE: {
                "host": "local",
                "name": f"{NAME}-kube",
                "config": {"environment.PLEX_BOOT": "wait", **tags},
                "devices": {
                    "eth0": {"type": "nic", "network": NAME},
                    "root": {"type": "disk", "path": "/", "pool": LOCAL.pool},
                },
                "network": NETWORK,
            }
        },
        "volumes": {
            VOLUME: {
                "host": "local",
                "name": f"{NAME}-data",
                "pool": LOCAL.pool,
                "type": "custom",
                "content_type": "filesystem",
                "config": tags,
            }
        },
        "instances": {
            f"{NAME}{index}": {
                "host": "local",
                "form": "container",
                "image": IMAGES[0],
                "profile": PROFILE,
                "config": {"user.plex.hash": "1", "user.plex.run": "a"},
                "devices": {
                    "eth0": {
                        "type": "nic",
                        "network": NAME,
                        "hwaddr": f"00:16:3e:6d:77:{index:02x}",
                    }
                },
                "boot": None if stopped else str(tofu.folder.parents[1] / "boot.tar"),
                "generation": "a",
                "parent": None if index == 1 else MASTER,
                "running": not stopped,
            }
            for index in range(1, number + 1)
        },
    }


def resource(name: str) -> str:
    kind = "master" if name == MASTER else "worker"
    return f'incus_instance.{kind}["{name}"]'


def identifiers(wanted: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """What imports all of `wanted` that is there: its instances are `names`."""
    return {
        f'incus_network.network["{NETWORK}"]': f"local:{NAME}",
        f'incus_profile.profile["{PROFILE}"]': f"local:{NAME}-kube",
        (
            SEED_RESOURCE if "source" in wanted["volumes"][VOLUME] else VOLUME_RESOURCE
        ): f"local:/{LOCAL.pool}/{NAME}-data",
    } | {
        resource(name): f"local:{name},image={one['image']}"
        for name, one in wanted["instances"].items()
        if name in names
    }


def adopt(tofu: Tofu, wanted: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Take over what no state knows of, and make what is missing; what the import has planned."""
    lives = (f"-target=module.incus.terraform_data.{one}" for one in LIVES)
    tofu.run("apply", "-auto-approve", *lives)
    with tofu.importing(identifiers(wanted, names)):
        planned = tofu.planned()
        tofu.run("apply", "-auto-approve")
    return planned


def test_a_plex_from_its_first_node_to_its_last(tofu: Tofu, server: Server) -> None:
    wanted = variables(tofu)
    tofu.write(wanted)
    assert set(tofu.planned().values()) == {"create"}

    tofu.run("apply", "-auto-approve")

    first = instances(server)
    assert first.keys() == {MASTER, *WORKER}
    for name in first:
        seen = server.get("instances", name)
        assert seen["status"] == "Running"
        assert seen["profiles"] == [f"{NAME}-kube"]
    assert tofu.is_done()
    told = json.loads(tofu.run("output", "-json", "instances").out)
    assert told[MASTER] == {"host": "local", "status": "Running"}

    # One worker, by a new generation; only it.
    wanted["instances"][WORKER[0]] |= {"generation": "b", "image": IMAGES[1]}
    tofu.write(wanted)
    assert tofu.planned()[resource(WORKER[0])] == "replace"
    tofu.run("apply", "-auto-approve")
    second = instances(server)
    assert {name for name in first if first[name] != second[name]} == {WORKER[0]}
    assert base_image(server, WORKER[0]) == target(server, IMAGES[1])

    # The master by hand; all workers with it, and they are gone before it is made.
    order = tofu.run("apply", "-auto-approve", f'-replace=module.incus.{GENERATION}["{MASTER}"]')
    third = instances(server)
    assert all(second[name] != third[name] for name in second)
    created = order.out.index(f"module.incus.{resource(MASTER)}: Creating...")
    for name in WORKER:
        gone = order.out.index(f"module.incus.{resource(name)}: Destruction complete")
        assert gone < created < order.out.index(f"module.incus.{resource(name)}: Creating...")

    # What a node is like may change without it being made anew, where its hash does not.
    wanted["instances"][MASTER]["config"]["user.plex.note"] = "n"
    del wanted["instances"][WORKER[1]]
    tofu.write(wanted)
    tofu.run("apply", "-auto-approve")
    fourth = instances(server)
    assert fourth == {name: third[name] for name in (MASTER, WORKER[0])}
    assert tofu.is_done()

    tofu.run("destroy", "-auto-approve")
    assert instances(server) == {}
    with pytest.raises(NotFoundError):
        server.get("networks", NAME)


def base_image(server: Server, name: str) -> str:
    return str(server.get("instances", name)["config"]["volatile.base_image"])


def target(server: Server, alias: str) -> str:
    return str(server.get("images", "aliases", alias)["target"])


def test_a_node_has_its_boot_tar_and_the_state_only_its_path(tofu: Tofu, server: Server) -> None:
    tofu.write(variables(tofu, 1))
    tofu.run("apply", "-auto-approve")

    pulled = subprocess.run(
        ["incus", "file", "pull", f"{MASTER}/var/lib/plexctl/boot.tar", str(tofu.folder / "got")],
        check=False,
        timeout=60,
    )
    assert pulled.returncode == 0
    got = tofu.folder / "got"
    assert got.read_text() == SECRET
    assert got.stat().st_mode & 0o777 == 0o600
    state = (tofu.folder / "terraform.tfstate").read_text()
    assert "boot.tar" in state
    assert SECRET not in state


def test_a_volume_with_the_bytes_of_a_file(tofu: Tofu, server: Server) -> None:
    """As the seed of a virtual machine, of which this host may be able to make none."""
    wanted = variables(tofu, 1, stopped=True)
    first, second = (tofu.folder / f"seed-{name}.iso" for name in "ab")
    for seed in (first, second):
        seed.write_bytes(bytes(4096))
    volume = wanted["volumes"][VOLUME]
    volume |= {"content_type": "iso", "config": {}, "source": str(first)}
    tofu.write(wanted)
    tofu.run("apply", "-auto-approve")
    assert seen_volume(server)["content_type"] == "iso"
    assert tofu.is_done()

    (tofu.folder / "terraform.tfstate").unlink()
    assert adopt(tofu, wanted, instances(server))[SEED_RESOURCE] == "import"
    assert tofu.is_done()

    volume["source"] = str(second)
    tofu.write(wanted)
    assert tofu.planned()[SEED_RESOURCE] == "replace"
    tofu.run("apply", "-auto-approve")
    shown = tofu.run("state", "show", f"module.incus.{SEED_RESOURCE}").out
    assert str(second) in shown
    assert tofu.is_done()


def seen_volume(server: Server) -> Any:
    return server.get("storage-pools", LOCAL.pool, "volumes", "custom", f"{NAME}-data")


def test_a_virtual_machine_gets_its_boot_tar_from_its_agent(tofu: Tofu) -> None:
    """Only planned: to start it takes a processor that this host may not have."""
    wanted = variables(tofu, 1)
    wanted["instances"][MASTER]["form"] = "virtual-machine"
    tofu.write(wanted)

    tofu.run("plan", "-out=plan")

    plan = json.loads(tofu.run("show", "-json", "plan").out)
    (change,) = (
        one["change"]["after"]
        for one in plan["resource_changes"]
        if one["address"].endswith(resource(MASTER))
    )
    assert change["type"] == "virtual-machine"
    assert [one["type"] for one in change["wait_for"]] == ["agent"]
    (file,) = change["file"]
    assert (file["target_path"], file["mode"], file["content"]) == (
        "/var/lib/plexctl/boot.tar",
        "0600",
        None,
    )


def test_another_hash_is_another_node(tofu: Tofu) -> None:
    wanted = variables(tofu, 2)
    tofu.write(wanted)
    tofu.run("apply", "-auto-approve")
    wanted["instances"][MASTER]["config"]["user.plex.hash"] = "2"
    tofu.write(wanted)

    planned = tofu.planned()

    assert {planned[resource(name)] for name in (MASTER, WORKER[0])} == {"replace"}


def test_what_exists_is_taken_over_and_nothing_is_made_anew(tofu: Tofu, server: Server) -> None:
    wanted = variables(tofu)
    tofu.write(wanted)
    tofu.run("apply", "-auto-approve")
    before = instances(server)
    (tofu.folder / "terraform.tfstate").unlink()

    planned = adopt(tofu, wanted, before)

    assert {planned[resource(name)] for name in before} == {"import"}
    assert set(planned.values()) <= {"import", "update"}
    assert instances(server) == before
    assert tofu.is_done()


def test_killed_while_it_makes_16_nodes(tofu: Tofu, server: Server) -> None:
    wanted = variables(tofu, 17, stopped=True)
    tofu.write(wanted)
    killed = tofu.start("apply", "-auto-approve")
    wait(
        Condition("some nodes are there", lambda: Seen(len(instances(server)) > 4), 90, every=0.02)
    )
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    # The provider finishes what it has begun before it ends, too.
    eventually("nothing of ours is under way", lambda: not under_way(server))
    before = instances(server)
    assert 4 < len(before) < 17

    adopt(tofu, wanted, before)

    after = instances(server)
    assert after.keys() == wanted["instances"].keys()
    assert {name: after[name] for name in before} == before
    assert tofu.is_done()
    tofu.run("destroy", "-auto-approve")
    assert instances(server) == {}


def under_way(server: Server) -> list[Any]:
    """Operations on instances of these tests: the server may have others."""
    found = server.get("operations", recursion="1")
    return [one for kind in found.values() for one in kind if NAME in json.dumps(one["resources"])]


KEYS = """#!{python} -IS
import json, sys

print(json.dumps({{"magic": "OpenTofu-External-Key-Provider", "version": 1}}), flush=True)
asked = json.load(sys.stdin)
keys = {{"encryption_key": "{key}"}}
if asked is not None:
    keys["decryption_key"] = "{key}"
print(json.dumps({{"keys": keys, "meta": {{"external_data": {{}}}}}}))
"""


def test_an_encrypted_state_tells_nothing(tofu: Tofu, server: Server) -> None:
    keys = tofu.folder.parent / "keys"
    key = base64.b64encode(bytes(range(32))).decode()
    keys.write_text(KEYS.format(python=sys.executable, key=key))
    keys.chmod(0o700)
    method = "method.aes_gcm.plex"
    encryption = {
        "key_provider": {"external": {"plex": {"command": [str(keys)]}}},
        "method": {"aes_gcm": {"plex": {"keys": "${key_provider.external.plex}"}}},
        "state": {"method": method, "enforced": True},
        "plan": {"method": method, "enforced": True},
    }
    tofu.write_json("encryption.tf.json", {"terraform": {"encryption": encryption}})
    tofu.write(variables(tofu, 2, stopped=True))

    tofu.run("init")
    tofu.run("plan", "-out=plan")
    tofu.run("apply", "plan")

    for name in ("terraform.tfstate", "plan"):
        assert NAME.encode() not in (tofu.folder / name).read_bytes(), name
    assert tofu.is_done()
    keys.write_text(KEYS.format(python=sys.executable, key=base64.b64encode(bytes(32)).decode()))
    assert tofu.run("plan", code=1).code == 1
    keys.write_text(KEYS.format(python=sys.executable, key=key))
    tofu.run("destroy", "-auto-approve")
    assert instances(server) == {}


ROOT = """
terraform {
  required_providers {
    incus = { source = "lxc/incus" }
  }
}

provider "incus" {}

module "lab" {
  source = "../modules/incus-plex"

  plex     = "tofumod"
  networks = {}
  volumes  = {}
  profiles = {
    all = {
      host    = "local"
      name    = "tofumod-kube"
      network = null
      config  = {}
      devices = { root = { type = "disk", path = "/", pool = "POOL" } }
    }
  }
  instances = {
    tofumod1 = {
      host       = "local"
      form       = "container"
      image      = "tofumod-a"
      profile    = "all"
      config     = { "user.plex.hash" = "1" }
      devices    = {}
      boot       = null
      generation = "1"
      parent     = null
    }
  }
}
"""


def test_the_module_in_a_configuration_of_a_users_own(tofu: Tofu, server: Server) -> None:
    own = Tofu(tofu.program, tofu.folder.parent / "own", tofu.settings)
    own.folder.mkdir()
    (own.folder / "main.tf").write_text(ROOT.replace("POOL", LOCAL.pool))

    own.run("init")
    own.run("validate")
    own.run("apply", "-auto-approve")

    assert instances(server).keys() == {MASTER}
    own.run("destroy", "-auto-approve")
    assert instances(server) == {}


def test_variables_written_by_hand(tofu: Tofu, server: Server) -> None:
    """The same in the language that people write, with one node and no volume."""
    wanted = variables(tofu, 1, stopped=True) | {"volumes": {}}
    lines = (f"{name} = {json.dumps(value)}" for name, value in wanted.items())
    (tofu.folder / "terraform.tfvars").write_text("\n".join(lines) + "\n")

    tofu.run("validate")
    tofu.run("apply", "-auto-approve")

    assert instances(server).keys() == {MASTER}


@pytest.fixture
def https(server: Server, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The local Incus over HTTPS: its address, and a client's folder that both sides trust."""
    before = server.get()["config"].get("core.https_address", "")
    port = before.rpartition(":")[2] or str(free_port())
    if not before:
        settings = {"config": {"core.https_address": f"127.0.0.1:{port}"}}
        server.call("PATCH", (), settings)
    folder = tmp_path / "client"
    (folder / "servercerts").mkdir(parents=True)
    pinned = folder / "servercerts" / "second.crt"
    pinned.write_text(server.get()["environment"]["certificate"])
    der = client_certificate(folder)
    trust = {"name": NAME, "type": "client", "certificate": base64.b64encode(der).decode()}
    server.call("POST", ("certificates",), trust)
    try:
        yield f"https://127.0.0.1:{port}", folder
    finally:
        clean(server)
        server.call("DELETE", ("certificates", hashlib.sha256(der).hexdigest()))
        if not before:
            server.call("PATCH", (), {"config": {"core.https_address": ""}})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def client_certificate(folder: Path) -> bytes:
    """A key and a certificate in `folder`, as the command `incus` has them; the latter as DER."""
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    words += ["-nodes", "-subj", f"/CN={NAME}", "-days", "2"]
    subprocess.run(
        [*words, "-keyout", folder / "client.key", "-out", folder / "client.crt"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return ssl.PEM_cert_to_DER_cert((folder / "client.crt").read_text())


def over_https(tofu: Tofu, address: str, folder: Path) -> dict[str, Any]:
    """A master on the socket and a worker on the same server by another name, over HTTPS."""
    wanted = variables(tofu, 2)
    wanted |= {"config_dir": str(folder)}
    wanted["hosts"]["second"] = {"address": address}
    profile = wanted["profiles"][PROFILE] | {"host": "second", "name": f"{NAME}-far"}
    wanted["profiles"]["second/far"] = profile
    wanted["instances"][WORKER[0]] |= {"host": "second", "profile": "second/far"}
    return wanted


def test_one_plex_on_two_hosts(tofu: Tofu, server: Server, https: tuple[str, Path]) -> None:
    tofu.write(over_https(tofu, *https))

    tofu.run("apply", "-auto-approve")

    assert server.get("instances", WORKER[0])["profiles"] == [f"{NAME}-far"]
    assert tofu.is_done()
    told = json.loads(tofu.run("output", "-json", "instances").out)
    assert {name: one["host"] for name, one in told.items()} == {
        MASTER: "local",
        WORKER[0]: "second",
    }
    tofu.run("destroy", "-auto-approve")
    assert instances(server) == {}


def test_a_host_with_another_certificate(
    tofu: Tofu, server: Server, https: tuple[str, Path]
) -> None:
    address, folder = https
    own = (folder / "client.crt").read_text()
    (folder / "servercerts" / "second.crt").write_text(own)
    tofu.write(over_https(tofu, address, folder))

    answer = tofu.run("apply", "-auto-approve", code=1)

    told = " ".join(answer.err.replace("│", " ").split())
    assert f"second at {address}: [SSL: CERTIFICATE_VERIFY_FAILED]" in told
    assert instances(server).keys() <= {MASTER}


def test_files_are_written_as_tofu_writes_them(tofu: Tofu) -> None:
    tofu.run("fmt", "-check", "-recursive", "-diff", str(tofu.folder.parent))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"profile": "local/other"}, "names a profile that is not in"),
        ({"parent": "nobody"}, "`parent` is the name of an instance that has no parent itself"),
        ({"config": {}}, "needs `user.plex.hash`"),
        ({"form": "pod"}, '"container" or "virtual-machine"'),
        ({"boot": "boot.tar"}, "is an absolute path"),
        ({"running": False}, "cannot be given a boot tar"),
        ({"devices": {"eth0": {"network": "n"}}}, "needs a `type`"),
        ({"boot": ...}, 'attribute "boot" is required'),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_mistake_is_told_before_anything_is_made(
    tofu: Tofu, server: Server, change: dict[str, Any], told: str
) -> None:
    wanted = variables(tofu, 2)
    broken = wanted["instances"][WORKER[0]] | change
    wanted["instances"][WORKER[0]] = {k: v for k, v in broken.items() if v is not ...}
    tofu.write(wanted)

    answer = tofu.run("plan", code=1)

    assert told in " ".join(answer.err.replace("│", " ").split())
    assert instances(server) == {}
