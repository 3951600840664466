#!/usr/bin/python3
"""Stands for pveum, pvesh, pvesm, pvesubscription and pveversion: keeps its arguments.

Only the calls that the role `host` makes; anything else fails. State and calls are in /root.
"""

import json
import sys
from pathlib import Path
from typing import Any

STATE, CALLS = Path("/root/pve.json"), Path("/root/pve.calls")
FIRST = {
    "roles": {"PVEAdmin": "Sys.Audit"},
    "users": ["root@pam"],
    "acl": [],
    "tokens": {},
    "storage": {"local": "iso,vztmpl,backup", "fast": "images"},
    "pci": {},
}


def options(words: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    while words:
        name, equals, value = words.pop(0).partition("=")
        assert name.startswith("--"), name
        found.setdefault(name[2:], []).append(value if equals else words.pop(0))
    return found


def answer(state: dict[str, Any], program: str, words: list[str]) -> object:
    match [program, *words]:
        case ["pveversion"]:
            return "pve-manager/9.0.3/025864202ebb6109 (running kernel: 6.14.8-2-pve)"
        case ["pvesubscription", "get"]:
            return "status: notfound"
        case ["pveum", "role", "list", *_]:
            return [{"roleid": name, "privs": privs} for name, privs in state["roles"].items()]
        case ["pveum", "role", "add" | "modify" as verb, name, *rest]:
            assert (name in state["roles"]) == (verb == "modify")
            state["roles"][name] = options(rest)["privs"][0]
        case ["pveum", "user", "list", *_]:
            return [{"userid": name} for name in state["users"]]
        case ["pveum", "user", "add", name, *rest]:
            options(rest)
            state["users"].append(name)
        case ["pveum", "acl", "list", *_]:
            return state["acl"]
        case ["pveum", "acl", "modify", path, *rest]:
            given = options(rest)
            one = {"path": path, "ugid": given["users"][0], "roleid": given["roles"][0]}
            state["acl"].append({**one, "type": "user", "propagate": 1})
        case ["pveum", "user", "token", "list", user, *_]:
            assert user in state["users"]
            return [{"tokenid": name} for name in state["tokens"]]
        case ["pveum", "user", "token", "add", user, name, *rest]:
            assert name not in state["tokens"]
            assert options(rest)["privsep"] == ["0"]
            value = f"secret-{len(CALLS.read_text().splitlines())}"
            state["tokens"][name] = value
            return {"full-tokenid": f"{user}!{name}", "value": value}
        case ["pveum", "user", "token", "remove", _, name]:
            del state["tokens"][name]
        case ["pvesh", "get", "/cluster/mapping/pci", *_]:
            return [{"id": name, "map": maps} for name, maps in state["pci"].items()]
        case ["pvesh", "create", "/cluster/mapping/pci", *rest]:
            given = options(rest)
            assert given["id"][0] not in state["pci"]
            state["pci"][given["id"][0]] = given["map"]
        case ["pvesh", "set", path, *rest]:
            state["pci"][path.rpartition("/")[2]] = options(rest)["map"]
        case ["pvesh", "get", path, *_]:
            return {"content": state["storage"][path.removeprefix("/storage/")]}
        case ["pvesm", "set", name, *rest]:
            assert name in state["storage"]
            state["storage"][name] = options(rest)["content"][0]
        case other:
            raise SystemExit(f"unknown: {other}")
    return None


program, words = Path(sys.argv[0]).name, sys.argv[1:]
with CALLS.open("a") as calls:
    calls.write(json.dumps([program, *words]) + "\n")
state = json.loads(STATE.read_text()) if STATE.exists() else FIRST
said = answer(state, program, words)
STATE.write_text(json.dumps(state))
if said is not None:
    print(said if isinstance(said, str) else json.dumps(said))
