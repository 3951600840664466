"""What an upgrade may do, from versions and metrics alone."""

from __future__ import annotations

import pytest

from plexctl.errors import UsageError
from plexctl.workflow.upgrade.deprecated import DeprecatedApi, removed_apis
from plexctl.workflow.upgrade.skew import minor, require_skew

METRICS = """\
# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that were requested
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="batch",removed_release="1.36",resource="jobs",subresource="status",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="batch",removed_release="1.36",resource="jobs",subresource="",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="x.k8s.io",removed_release="1.37",resource="later",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="x.k8s.io",removed_release="1.35",resource="unused",subresource="",version="v1"} 0
apiserver_requested_deprecated_apis{group="x.k8s.io",removed_release="1.36;rm",resource="odd",subresource="",version="v1"} 1
apiserver_request_total{removed_release="1.30"} 5
"""  # noqa: E501 - lines of an API server


def test_apis_in_use_that_the_version_lacks_are_found_once() -> None:
    assert removed_apis(METRICS, "v1.36.3") == (DeprecatedApi("jobs", "batch/v1beta1", "1.36"),)
    assert [one.resource for one in removed_apis(METRICS, "v1.37.0")] == ["jobs", "later"]
    assert removed_apis(METRICS, "v1.35.4") == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("v1.35.4", "v1.36.3"),
        ("v1.36.2", "v1.36.3"),
        ("v1.36.3", "v1.36.3"),
        ("v1.35.4", "v1.36.0"),
    ],
)
def test_the_next_minor_version_and_later_patches_are_allowed(before: str, after: str) -> None:
    require_skew("demo", before, after, {"demo1": before})


@pytest.mark.parametrize(
    ("before", "after", "match"),
    [
        ("v1.34.9", "v1.36.3", "one minor version at a time"),
        ("v1.36.3", "v1.36.2", "no way back"),
        ("v1.36.0", "v1.35.9", "no way back"),
        ("v1.36.0", "v2.36.0", "one minor version at a time"),
        ("", "v1.36.0", "'' is not a version"),
    ],
)
def test_other_ways_are_refused(before: str, after: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        require_skew("demo", before, after, {})


def test_a_machine_that_joined_by_itself_must_not_be_too_old() -> None:
    require_skew("demo", "v1.35.4", "v1.36.3", {"foreign": "v1.33.0"})
    with pytest.raises(UsageError, match="kubelets of foreign are too old"):
        require_skew("demo", "v1.35.4", "v1.36.3", {"foreign": "v1.32.9", "demo1": "v1.35.4"})


def test_versions_may_have_a_suffix() -> None:
    assert minor("v1.36.3-plex.1") == "1.36"
