"""Recorded documents of upstream, as the depot has them: without CRDs.

argocd.yaml is manifests/core-install.yaml of Argo CD 3.5.7; the others are config/manager of Flux'
controllers, as `depot fill` concatenates them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def upstream(*names: str) -> list[Any]:
    """The documents of these files."""
    texts = (Path(__file__).with_name(f"{name}.yaml").read_bytes() for name in names)
    return [one for text in texts for one in yaml.load_all(text, yaml.CSafeLoader) if one]
