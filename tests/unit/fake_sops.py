#!/usr/bin/env python3
"""Stands for SOPS: the same options and the same form of files, with base64 for encryption."""

import base64
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml

words = sys.argv[1:]
log = Path(sys.argv[0]).with_suffix(".log")
with log.open("a") as file:
    file.write(json.dumps({"argv": words, "env": dict(os.environ)}) + "\n")
assert words[:2] == ["--config", "/dev/null"], words
verb = words[3]


def option(name: str) -> str:
    return words[words.index(name) + 1] if name in words else ""


def sealed(document: dict[str, Any], regex: str, mac: str, keys: list[str]) -> dict[str, Any]:
    changed = {
        field: {
            name: "ENC[" + base64.b64encode(str(text).encode()).decode()
            for name, text in value.items()
        }
        if re.match(regex, field)
        else value
        for field, value in document.items()
    }
    age = [{"recipient": key} for key in keys]
    return {**changed, "sops": {"age": age, "mac": mac}}


def opened(document: dict[str, Any]) -> dict[str, Any]:
    sops = document.pop("sops")
    known = Path(os.environ["SOPS_AGE_KEY_FILE"]).read_text()
    if not any(f"# public key: {key['recipient']}\n" in known for key in sops["age"]):
        sys.exit(128)
    return {
        field: {name: base64.b64decode(text[4:]).decode() for name, text in value.items()}
        if field in ("data", "stringData")
        else value
        for field, value in document.items()
    }


VALUES = "^(data|stringData)$"
if verb == "encrypt":
    assert option("--encrypted-regex") == VALUES
    documents = list(yaml.safe_load_all(sys.stdin))
    if any("refuse me" in str(document) for document in documents):
        sys.exit(f"cannot read {documents}")
    documents = [sealed(one, VALUES, "ENC[1", option("--age").split(",")) for one in documents]
else:
    documents = list(yaml.safe_load_all(Path(words[-1]).read_text()))
    lines = log.read_text().splitlines()
    last = json.loads(lines[-1]) | {"sops": list(documents[0]["sops"])}
    log.write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n")
    old = documents[0]["sops"]
    keys = [key["recipient"] for key in old["age"]]
    documents = [opened(one) for one in documents]
    if old["mac"] == "wrong":
        sys.exit(51)
    if verb == "rotate":
        gone = option("--rm-age").split(",")
        added = option("--add-age")
        keys = [key for key in keys if key not in gone] + (added.split(",") if added else [])
        documents = [sealed(one, VALUES, old["mac"] + "1", keys) for one in documents]
if option("--output-type") == "json":
    json.dump(documents[0], sys.stdout)
else:
    yaml.safe_dump_all(documents, sys.stdout, sort_keys=False)
