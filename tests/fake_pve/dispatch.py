"""From a request to its answer: who, which endpoint, which parameters, may they, do it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fake_pve import schema
from tests.fake_pve.access import Identity, permit
from tests.fake_pve.answers import faults
from tests.fake_pve.errors import ApiError, RefusedError, bad_parameters
from tests.fake_pve.routing import ROUTES, Call
from tests.fake_pve.state import Request

if TYPE_CHECKING:
    from tests.fake_pve.pve import FakePve

NOBODY = Identity("nobody@pve", "", {})


def answer(pve: FakePve, request: Request, uploads: dict[str, Path]) -> Any:
    """The data of the answer; raises `ApiError`."""
    endpoint, variables = schema.match(request.method, request.path)
    permissions = endpoint.info.get("permissions") or {}
    world = permissions.get("user") == "world"
    with pve.lock:
        who = NOBODY if world else pve.access.identify(request.method, request.headers)
    if who.token and endpoint.info.get("allowtoken") == 0:
        raise ApiError(403, "Permission check failed (token not allowed)")
    if request.method == "DELETE" and request.headers.get("content-length", "0") != "0":
        raise ApiError(501, "Unexpected content for method 'DELETE'")
    _reach(pve, variables.get("node"))
    params = schema.validate(endpoint, {**request.params, **variables})
    handler = ROUTES.get((request.method, endpoint.template))
    if handler is None:
        raise ApiError(501, f"'{request.method} {endpoint.template}' is real, but not in the fake")
    with pve.lock:
        if not world:
            permit(who, permissions, params)
        if params.get("skiplock") and who.name != "root@pam":
            raise bad_parameters({"skiplock": "Only root may use this option."})
        data = handler(Call(pve, who, params, uploads))
    wrong = list(faults(data, endpoint.info.get("returns") or {}))
    if wrong:
        raise AssertionError(f"answer of {request.method} {endpoint.template}: {wrong}")
    return data


def _reach(pve: FakePve, node: str | None) -> None:
    if node is None:
        return
    if node not in pve.cluster.nodes:
        raise RefusedError(
            f"hostname lookup '{node}' failed - failed to get address info for: {node}: "
            "Name or service not known"
        )
    if node in pve.cluster.down:
        raise ApiError(*pve.cluster.down[node])
