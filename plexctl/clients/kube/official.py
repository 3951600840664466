"""The official Kubernetes client, for verbs in which half a second does not matter.

Importing `kubernetes` takes 0.5 s of processor time, more than all API calls of an `up`. So import
this module inside of the function that needs it. `up`, `plan`, `status` and `list` use `client.py`;
a contract of import-linter and tests/unit/clients/test_official.py check that.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.client.rest import RESTResponse
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import NotFoundError, ResourceNotFoundError
from kubernetes.dynamic.resource import ResourceList

from plexctl.clients.kube.access import ApiAccess, tls_files
from plexctl.clients.kube.client import InvalidObjectError, UnreachableError, unreachable
from plexctl.errors import PlexError

TIMEOUT = (1.0, 30.0)
"""Seconds to connect, and to read an answer: an apply may call webhooks, each up to 10 s."""

NO_CACHE = "/dev/null/discovery"
"""DynamicClient caches its discovery in a file, by default one that other users can foresee in
/tmp. This path can neither be read nor written."""


class NotServedError(PlexError):
    """The API does not serve the object's kind, or the object's namespace does not exist."""


class BoundedApiClient(ApiClient):
    """An ApiClient whose calls all have a time-out and raise UnreachableError.

    ApiException is raised for failures that the API answers with.
    """

    def call_api(
        self,
        method: str,
        url: str,
        header_params: Any = None,
        body: Any = None,
        post_params: Any = None,
        _request_timeout: Any = None,
    ) -> RESTResponse:
        timeout = _request_timeout or TIMEOUT
        try:
            return super().call_api(method, url, header_params, body, post_params, timeout)
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(self.configuration.host, error) from error


@contextmanager
def api_client(access: ApiAccess) -> Iterator[ApiClient]:
    """The client that the classes of `kubernetes.client` take, as in CoreV1Api(client).

    It trusts only the certificate authority of `access`. It reads no kubeconfig, and proxies of
    the environment do not apply. An ApiException that nobody handles becomes an UnreachableError.
    """
    with tls_files(access) as files:
        configuration = Configuration(
            host=access.server, ssl_ca_cert=files.ca, proxy="", no_proxy="", retries=0
        )
        configuration.cert_file, configuration.key_file = files.certificate, files.key
        with BoundedApiClient(configuration) as client:
            try:
                yield client
            except ApiException as error:
                raise UnreachableError(
                    f"the API at {access.server} refuses a request: {error.status} {error.reason}",
                    details=(_message(error),),
                ) from error
            finally:
                client.rest_client.close()


class ObjectApi:
    """Objects of all kinds in one cluster. Safe to use from threads.

    `document` is a manifest; without a namespace it is in "default", if its kind has namespaces.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = DynamicClient(client, cache_file=NO_CACHE)
        self._resources: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()  # DynamicClient's discovery is not safe to use from threads

    def read(self, document: dict[str, Any]) -> dict[str, Any] | None:
        """The object that `document` names; None if there is none. NotServedError for its kind."""
        metadata = document["metadata"]
        try:
            return self._call("get", document, name=metadata["name"])
        except NotFoundError:
            return None

    def is_namespaced(self, document: dict[str, Any]) -> bool:
        """Whether objects of this kind are in a namespace. NotServedError for an unknown kind."""
        return bool(self._resource(document["apiVersion"], document["kind"]).namespaced)

    def dry_run_apply(self, document: dict[str, Any], manager: str) -> dict[str, Any]:
        """The object that a server-side apply in the name of `manager` would result in.

        NotServedError if its kind or its namespace does not exist yet; InvalidObjectError if the
        API rejects it for another reason.
        """
        try:
            return self._call(
                "server_side_apply",
                document,
                body=document,
                field_manager=manager,
                force_conflicts=True,
                dry_run="All",
            )
        except NotFoundError as error:
            raise NotServedError(_message(error)) from error
        except ApiException as error:
            raise InvalidObjectError(_message(error)) from error

    def _call(self, verb: str, document: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        resource = self._resource(document["apiVersion"], document["kind"])
        namespace = document["metadata"].get("namespace", "default")
        call = getattr(resource, verb)
        found = call(
            namespace=namespace if resource.namespaced else None,
            serializer=lambda _, answer: answer,
            **arguments,
        )
        return dict(found)

    def _resource(self, version: str, kind: str) -> Any:
        with self._lock:
            if (version, kind) not in self._resources:
                try:
                    found = self._client.resources.get(api_version=version, kind=kind)
                except ResourceNotFoundError:
                    found = None
                # DynamicClient adds kinds of lists, which the API does not serve as objects.
                is_list = isinstance(found, ResourceList)
                self._resources[version, kind] = None if is_list else found
        resource = self._resources[version, kind]
        if resource is None:
            raise NotServedError(f"the API does not serve {kind} of {version}")
        return resource


def _message(error: ApiException) -> str:
    """The API's own description of a failure."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error.status} {error.reason}"
