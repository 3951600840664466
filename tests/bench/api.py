"""A cluster's API, asked with nothing but its kubeconfig."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path
from typing import Any

import requests
import yaml

from plexctl.errors import PlexError

CONNECT = 0.5
"""Seconds: a master that boots must not hold a look up."""


class NoAnswerError(PlexError):
    """The API does not answer, or not yet with what is asked."""


class Api:
    """A connection; `folder` keeps the keys of the kubeconfig as files, as TLS wants them.

    An answer may take `patience` seconds.
    """

    def __init__(self, kubeconfig: Path, folder: Path, patience: float = 2.0) -> None:
        self._timeout = (CONNECT, patience)
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._server = cluster["server"]
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = _file(folder, cluster["certificate-authority-data"])
        self._session.cert = (
            _file(folder, user["client-certificate-data"]),
            _file(folder, user["client-key-data"]),
        )

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def text(self, path: str) -> str:
        """What is at `path`, which need not be JSON: a page of a service, by the API's proxy."""
        return self._answer("GET", path).text

    def create(self, path: str, body: dict[str, Any]) -> Any:
        return self._call("POST", path, body)

    def delete(self, path: str) -> None:
        self._call("DELETE", path, {"gracePeriodSeconds": 0})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            return self._answer(method, path, body).json()
        except requests.RequestException as error:
            raise NoAnswerError(str(error)) from error

    def _answer(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> requests.Response:
        try:
            answer = self._session.request(
                method, self._server + path, json=body, timeout=self._timeout
            )
            answer.raise_for_status()
        except requests.RequestException as error:
            raise NoAnswerError(str(error)) from error
        return answer


def _file(folder: Path, data: str) -> str:
    descriptor, name = tempfile.mkstemp(dir=folder)  # 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64decode(data))
    return name
