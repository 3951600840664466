"""The service that OpenTofu talks to, and its life."""

from __future__ import annotations

import base64
import datetime
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tf.gen import grpc_controller_pb2 as controller_pb
from tf.gen import grpc_controller_pb2_grpc as controller
from tf.gen import grpc_stdio_pb2_grpc as stdio
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

from .resource import RefusedError, Resource, plan
from .wire import Values, known, null, read, schema, write

THREADS = 16
SECONDS = 600
"""How long calls that run may take to end."""


class Servicer(rpc.ProviderServicer):
    """Protocol 6 over `resources`; `configure` gets the provider's own block."""

    def __init__(
        self,
        recorded: Mapping[str, Any],
        resources: Mapping[str, Resource],
        configure: Callable[[Values], None],
    ) -> None:
        self.recorded = recorded
        self.resources = resources
        self.configure = configure

    def GetProviderSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.GetProviderSchema.Response(
            provider=schema(self.recorded["provider"]),
            resource_schemas={
                name: schema(entry) for name, entry in self.recorded["resource_schemas"].items()
            },
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        diagnostics = _tried(lambda: self.configure(read(request.config)))
        return pb.ConfigureProvider.Response(diagnostics=diagnostics)

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        wrong = self.resources[request.type_name].check(read(request.config))
        return pb.ValidateResourceConfig.Response(diagnostics=[_error(one) for one in wrong])

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:  # noqa: N802
        block = self.resources[request.type_name].block
        state = read(pb.DynamicValue(json=request.raw_state.json))
        names = null(block)
        upgraded = names | {name: value for name, value in state.items() if name in names}
        return pb.UpgradeResourceState.Response(upgraded_state=write(upgraded))

    def ReadResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        state = read(request.current_state)
        seen: list[Values | None] = [state]

        def look() -> None:
            seen[0] = self.resources[request.type_name].read(state)

        diagnostics = _tried(look)
        return pb.ReadResource.Response(new_state=write(seen[0]), diagnostics=diagnostics)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802
        planned, replaced = plan(
            self.resources[request.type_name],
            read(request.prior_state),
            read(request.proposed_new_state),
            read(request.config),
        )
        return pb.PlanResourceChange.Response(
            planned_state=write(planned), requires_replace=[_path(name) for name in replaced]
        )

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802
        resource = self.resources[request.type_name]
        prior, planned = read(request.prior_state), read(request.planned_state)
        # What is stored if it fails: what was there, or what came to be of it.
        state: list[Values | None] = [prior]
        made: Values = {}

        def change() -> None:
            if planned is None:
                resource.delete(prior)
                state[0] = None
            elif prior is None:
                state[0] = resource.create(planned, made)
            else:
                state[0] = resource.update(prior, planned)

        diagnostics = _tried(change)
        if diagnostics and prior is None and made:
            state[0] = known(made)
        return pb.ApplyResourceChange.Response(new_state=write(state[0]), diagnostics=diagnostics)

    def ImportResourceState(self, request: Any, context: Any) -> Any:  # noqa: N802
        resource = self.resources[request.type_name]
        found: list[Values] = []
        diagnostics = _tried(lambda: found.append(resource.import_(request.id)))
        return pb.ImportResourceState.Response(
            imported_resources=[
                pb.ImportResourceState.ImportedResource(
                    type_name=request.type_name, state=write(null(resource.block) | one)
                )
                for one in found
            ],
            diagnostics=diagnostics,
        )

    def GetFunctions(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.GetFunctions.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.StopProvider.Response()  # what has been begun is finished


def _tried(work: Callable[[], None]) -> list[pb.Diagnostic]:
    """Do it. An error that were not caught would leave what was made outside the state."""
    try:
        work()
    except RefusedError as error:
        return [_error(error.summary, error.details)]
    except Exception as error:  # noqa: BLE001
        return [_error(f"{type(error).__name__}: {error}")]
    return []


def _error(summary: str, details: str = "") -> pb.Diagnostic:
    return pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=summary, detail=details)


def _path(name: str) -> pb.AttributePath:
    return pb.AttributePath(steps=[pb.AttributePath.Step(attribute_name=name)])


def serve(servicer: Servicer, gone: Callable[[], bool]) -> None:
    """Serve whoever reads standard output until they say so or are `gone`, which may wait a little.

    Calls that run are finished.
    """
    over = threading.Event()
    pool = ThreadPoolExecutor(THREADS)
    server = grpc.server(pool)
    rpc.add_ProviderServicer_to_server(servicer, server)
    controller.add_GRPCControllerServicer_to_server(_Controller(over), server)
    stdio.add_GRPCStdioServicer_to_server(_Stdio(), server)
    certificate, credentials = _credentials()
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/provider.sock"
        server.add_secure_port(f"unix://{address}", credentials)
        server.start()
        written = base64.b64encode(certificate).decode().rstrip("=")
        print(f"1|6|unix|{address}|grpc|{written}", flush=True)
        while not over.is_set() and not gone():
            pass
        server.stop(grace=SECONDS).wait(SECONDS)
        pool.shutdown(wait=True)
    sys.stdout.flush()


class _Controller(controller.GRPCControllerServicer):
    def __init__(self, over: threading.Event) -> None:
        self.over = over

    def Shutdown(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.over.set()
        return controller_pb.Empty()


class _Stdio(stdio.GRPCStdioServicer):
    def StreamStdio(self, request: Any, context: Any) -> Any:  # noqa: N802
        return iter(())


def _credentials() -> tuple[bytes, Any]:
    """A certificate for this one process, as DER, and what the server needs of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM)
    credentials = grpc.ssl_server_credentials([(private, chain)])
    return certificate.public_bytes(serialization.Encoding.DER), credentials
