"""Probes of static pods, as kubeadm writes them."""

from __future__ import annotations

from plexctl.plan.documents import Document


def liveness(host: str, path: str, scheme: str = "HTTPS") -> Document:
    return _probe(host, path, scheme, failures=8, period=10, delay=10)


def readiness(host: str, path: str, scheme: str = "HTTPS") -> Document:
    return _probe(host, path, scheme, failures=3, period=1)


def startup(host: str, path: str, scheme: str = "HTTPS") -> Document:
    return _probe(host, path, scheme, failures=24, period=10, delay=10)


def _probe(
    host: str, path: str, scheme: str, *, failures: int, period: int, delay: int | None = None
) -> Document:
    probe: Document = {
        "failureThreshold": failures,
        "httpGet": {"host": host, "path": path, "port": "probe-port", "scheme": scheme},
        "periodSeconds": period,
        "timeoutSeconds": 15,
    }
    return {**probe, "initialDelaySeconds": delay} if delay is not None else probe
