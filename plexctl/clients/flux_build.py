"""The client of flux-build, which builds a Kustomization of Flux as kustomize-controller does.

It is plexctl's own program (plexctl/pins/flux-build), made of the controller's packages. It has no
keys: this module decrypts for it. It fetches files that a kustomization names by https://, as Flux
does. It clones no git repository, because git could run commands that a file contains.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plexctl.clients import process
from plexctl.clients.environment import LOCALE, NETWORK, chosen
from plexctl.clients.sops import Sops
from plexctl.errors import PlexError
from plexctl.plan.documents import Document

FLUX_BUILD = "flux-build"
"""The component of the depot, and the program in it."""

TIMEOUT = 120.0
ROUNDS = 3
"""Most calls for one Kustomization: encrypted sources, then encrypted objects, then the objects."""


@dataclass(frozen=True, slots=True)
class BuiltObject:
    """An object as Flux applies it."""

    id: str  # in the inventory of its Kustomization: "shop_web_apps_Deployment"
    document: Document
    ignored: tuple[str, ...] = ()  # JSON pointers of fields that stay as they are (spec.ignore)


@dataclass(frozen=True, slots=True)
class FluxBuild:
    """`root` is the folder with the files of the source; nothing is read outside of it."""

    binary: Path
    root: Path
    sops: Sops

    def build(
        self, kustomization: Document, variables: Mapping[str, str]
    ) -> tuple[BuiltObject, ...]:
        """The objects of a Kustomization.

        `variables` are those of its `postBuild.substituteFrom`. PlexError, without values of
        Secrets, if it cannot be built.
        """
        decrypted: list[dict[str, str]] = []
        for _ in range(ROUNDS):
            answer = self._ask(
                {
                    "root": str(self.root.resolve()),
                    "kustomization": kustomization,
                    "variables": dict(variables),
                    "decrypted": decrypted,
                }
            )
            if answer["error"]:
                raise PlexError(" ".join(str(answer["error"]).split()))
            if not answer["decrypt"]:
                return tuple(
                    BuiltObject(one["id"], one["object"], tuple(one["ignored"]))
                    for one in answer["objects"] or ()
                )
            decrypted += [self._decrypted(one) for one in answer["decrypt"]]
        raise PlexError(f"{FLUX_BUILD} asks for the same text again")

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        done = process.run(
            (self.binary,),
            timeout=TIMEOUT,
            env={**chosen(NETWORK), **LOCALE},  # without PATH it finds no git
            stdin=json.dumps(request).encode(),
            check=False,
            private=True,
        )
        if done.code != 0:
            raise PlexError(f"{FLUX_BUILD} failed with code {done.code}; its output is hidden")
        return dict(json.loads(done.stdout))

    def _decrypted(self, one: Mapping[str, str]) -> dict[str, str]:
        text = base64.b64decode(one["text"])
        plain = self.sops.decrypt_text(text, one["input"], one["output"])
        return {**one, "plain": base64.b64encode(plain.reveal()).decode()}
