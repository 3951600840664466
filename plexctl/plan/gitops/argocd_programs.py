"""The programs of Argo CD, and what is different between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONFIG, PARAMETERS, REDIS = "argocd-cm", "argocd-cmd-params-cm", "argocd-redis"
KNOWN_HOSTS, CERTIFICATES = "argocd-ssh-known-hosts-cm", "argocd-tls-certs-cm"
REDIS_FOLDER = "/etc/argocd/redis"


@dataclass(frozen=True, slots=True)
class Program:
    """What is different between the programs."""

    name: str
    command: tuple[str, ...]
    image: str = "argocd"
    kind: str = "Deployment"
    asks_api: bool = True
    ports: Mapping[str, int] = field(default_factory=dict)
    readiness: Mapping[str, Any] = field(default_factory=dict)
    service: bool = False  # whether others find it by its name
    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # variable -> map and key
    variables: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ("/tmp",)  # noqa: S108 - in the pod; empty, to write into
    maps: Mapping[str, str] = field(default_factory=dict)  # ConfigMap -> folder
    redis_file: str | None = None  # key of the Secret of Redis that it reads


def _program(name: str, *words: str) -> tuple[str, ...]:
    return (f"/usr/local/bin/{name}", *words)


PROGRAMS = (
    Program(
        REDIS,
        # A file, as arguments and variables are there for all to see.
        ("redis-server", f"{REDIS_FOLDER}/redis.conf"),
        image="redis",
        asks_api=False,
        ports={"redis": 6379},
        readiness={"tcpSocket": {"port": "redis"}},
        service=True,
        redis_file="redis.conf",
    ),
    Program(
        "argocd-repo-server",
        _program("argocd-repo-server"),
        asks_api=False,
        ports={"server": 8081, "metrics": 8084},
        readiness={"httpGet": {"path": "/healthz", "port": "metrics"}},
        service=True,
        settings={
            "ARGOCD_RECONCILIATION_TIMEOUT": (CONFIG, "timeout.reconciliation"),
            "ARGOCD_REPO_SERVER_LOGLEVEL": (PARAMETERS, "reposerver.log.level"),
            "REDIS_SERVER": (PARAMETERS, "redis.server"),
        },
        variables={
            # Signatures are not checked: there would have to be a gpg in the image.
            "ARGOCD_GPG_ENABLED": "false",
            "REDIS_CREDS_DIR_PATH": REDIS_FOLDER,
            **{f"HELM_{one}_HOME": "/helm-working-dir" for one in ("CACHE", "CONFIG", "DATA")},
        },
        folders=("/tmp", "/helm-working-dir", "/home/argocd/cmp-server/plugins"),  # noqa: S108
        maps={KNOWN_HOSTS: "/app/config/ssh", CERTIFICATES: "/app/config/tls"},
        redis_file="auth",
    ),
    Program(
        "argocd-applicationset-controller",
        _program("argocd-applicationset-controller"),
        ports={"webhook": 7000, "metrics": 8080},
        readiness={"tcpSocket": {"port": "metrics"}},
        settings={
            "ARGOCD_APPLICATIONSET_CONTROLLER_REPO_SERVER": (PARAMETERS, "repo.server"),
            "ARGOCD_APPLICATIONSET_CONTROLLER_LOGLEVEL": (
                PARAMETERS,
                "applicationsetcontroller.log.level",
            ),
        },
    ),
    Program(
        "argocd-application-controller",
        _program("argocd-application-controller"),
        kind="StatefulSet",
        ports={"metrics": 8082},
        readiness={"httpGet": {"path": "/healthz", "port": "metrics"}},
        settings={
            "ARGOCD_RECONCILIATION_TIMEOUT": (CONFIG, "timeout.reconciliation"),
            "ARGOCD_RECONCILIATION_JITTER": (CONFIG, "timeout.reconciliation.jitter"),
            "ARGOCD_APPLICATION_CONTROLLER_REPO_SERVER": (PARAMETERS, "repo.server"),
            "ARGOCD_APPLICATION_CONTROLLER_LOGLEVEL": (PARAMETERS, "controller.log.level"),
            "REDIS_SERVER": (PARAMETERS, "redis.server"),
        },
        variables={
            "ARGOCD_CONTROLLER_REPLICAS": "1",
            "KUBECACHEDIR": "/tmp/kubecache",  # noqa: S108
            "REDIS_CREDS_DIR_PATH": REDIS_FOLDER,
        },
        folders=("/tmp", "/home/argocd"),  # noqa: S108
        redis_file="auth",
    ),
)
