"""OpenTofu's state: lost, outdated after a kill, encrypted."""

from __future__ import annotations

import base64
import json
import signal
import sys
from typing import Any

from plexctl.model.condition import Condition, Observation, wait

from ...provider.incus.client import Server
from ...provider.tofu import Tofu
from ..support import eventually
from .plex import NAME, adopt, instances, resource, variables


def test_existing_objects_are_taken_over_and_nothing_is_recreated(
    tofu: Tofu, server: Server
) -> None:
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
        Condition(
            "some nodes are there", lambda: Observation(len(instances(server)) > 4), 90, every=0.02
        )
    )
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    # The provider finishes what it has begun before it ends, too.
    eventually("nothing of ours is under way", lambda: not under_way(server))
    before = instances(server)
    assert len(before) > 4

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


def test_an_encrypted_state_reveals_nothing(tofu: Tofu, server: Server) -> None:
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
