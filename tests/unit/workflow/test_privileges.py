"""The token of `plexctl host prepare` has the privileges that the documentation lists."""

from __future__ import annotations

import re
from pathlib import Path

from tests.proxmox import documented_privileges

ROLE = Path(__file__).parents[3] / "roles" / "host" / "tasks" / "user.yml"


def test_the_role_has_the_privileges_that_the_docs_list() -> None:
    given = set(re.findall(r"'((?:VM|Datastore|Mapping|SDN|Sys)\.[\w.]+)'", ROLE.read_text()))

    assert set(documented_privileges()) <= given
