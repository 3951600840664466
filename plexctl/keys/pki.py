"""The keys of a kubeadm cluster, derived: same seed and names, same bytes.

Subjects, names and usages are those of kubeadm 1.36 with `encryptionAlgorithm: ECDSA-P256`
(phases/certs/certlist.go and phases/kubeconfig).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from plexctl.keys.certificates import (
    CLIENT,
    SERVER,
    Authority,
    KeyPair,
    private_key,
    private_pem,
)
from plexctl.keys.seed import RootSeed
from plexctl.model.secret import Secret

BOTH = (*SERVER, *CLIENT)  # the server of etcd is also its own client (etcd issue 9785)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key without a certificate, both halves PEM."""

    public: bytes
    key: Secret


@dataclass(frozen=True, slots=True)
class Master:
    """The names and addresses in the certificates of a control plane node."""

    name: str  # of the node
    address: IPv4Address  # where its API server and etcd listen
    service: IPv4Address  # of the service `kubernetes`
    domain: str  # "cluster.local"
    extra_sans: tuple[str, ...] = ()  # further names and addresses of the API server


@dataclass(frozen=True, slots=True)
class ClusterKeys:
    """All keys of one plex at one epoch. Each method generates one pair, at each call."""

    seed: RootSeed
    plex: str
    epoch: int
    ca: Authority
    etcd_ca: Authority
    front_proxy_ca: Authority

    @classmethod
    def derive(cls, seed: RootSeed, plex: str, epoch: int) -> ClusterKeys:
        def authority(name: str) -> Authority:
            return Authority.create(name, _derive_key(seed, plex, epoch, "ca", name))

        return cls(
            seed,
            plex,
            epoch,
            ca=authority("kubernetes"),
            etcd_ca=authority("etcd-ca"),
            front_proxy_ca=authority("front-proxy-ca"),
        )

    # Files of /etc/kubernetes/pki

    def apiserver(self, master: Master) -> KeyPair:
        service = "kubernetes.default.svc"
        return self.ca.issue(
            self._key("apiserver", master.name),
            "kube-apiserver",
            SERVER,
            sans=(
                *(master.name, "kubernetes", "kubernetes.default", service),
                f"{service}.{master.domain}",
                *(str(master.service), str(master.address)),
                *master.extra_sans,
            ),
        )

    def apiserver_kubelet_client(self) -> KeyPair:
        """The API server as a client of kubelets.

        It has no organization since Kubernetes 1.36.1: `kubeadm init phase bootstrap-token` binds
        this user to system:kubelet-api-admin, and it needs no other right.
        """
        key = self._key("apiserver-kubelet-client")
        return self.ca.issue(key, "kube-apiserver-kubelet-client", CLIENT)

    def apiserver_etcd_client(self) -> KeyPair:
        key = self._key("apiserver-etcd-client")
        return self.etcd_ca.issue(key, "kube-apiserver-etcd-client", CLIENT)

    def etcd_healthcheck_client(self) -> KeyPair:
        key = self._key("etcd-healthcheck-client")
        return self.etcd_ca.issue(key, "kube-etcd-healthcheck-client", CLIENT)

    def etcd_server(self, master: Master) -> KeyPair:
        key = self._key("etcd-server", master.name)
        return self.etcd_ca.issue(key, master.name, BOTH, sans=_etcd_sans(master))

    def etcd_peer(self, master: Master) -> KeyPair:
        key = self._key("etcd-peer", master.name)
        return self.etcd_ca.issue(key, master.name, BOTH, sans=_etcd_sans(master))

    def front_proxy_client(self) -> KeyPair:
        key = self._key("front-proxy-client")
        return self.front_proxy_ca.issue(key, "front-proxy-client", CLIENT)

    def service_account(self) -> SigningKey:
        """The key that signs the tokens of service accounts."""
        key = self._key("service-account")
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return SigningKey(public, private_pem(key))

    def pki_files(self, master: Master) -> dict[str, bytes | Secret]:
        """The content of /etc/kubernetes/pki on `master` by relative path; Secret means 0600."""
        pairs = {
            "ca": self.ca.pair,
            "apiserver": self.apiserver(master),
            "apiserver-kubelet-client": self.apiserver_kubelet_client(),
            "front-proxy-ca": self.front_proxy_ca.pair,
            "front-proxy-client": self.front_proxy_client(),
            "etcd/ca": self.etcd_ca.pair,
            "etcd/server": self.etcd_server(master),
            "etcd/peer": self.etcd_peer(master),
            "etcd/healthcheck-client": self.etcd_healthcheck_client(),
            "apiserver-etcd-client": self.apiserver_etcd_client(),
        }
        accounts = self.service_account()
        files: dict[str, bytes | Secret] = {"sa.pub": accounts.public, "sa.key": accounts.key}
        for name, pair in pairs.items():
            files |= {f"{name}.crt": pair.certificate, f"{name}.key": pair.key}
        return files

    # Users of kubeconfig files

    def admin(self) -> KeyPair:
        key = self._key("admin")
        return self.ca.issue(key, "kubernetes-admin", CLIENT, organization="kubeadm:cluster-admins")

    def super_admin(self) -> KeyPair:
        """A user with every right and without a binding, for the first calls to a new cluster."""
        key = self._key("super-admin")
        return self.ca.issue(key, "kubernetes-super-admin", CLIENT, organization="system:masters")

    def controller_manager(self) -> KeyPair:
        return self.ca.issue(
            self._key("controller-manager"), "system:kube-controller-manager", CLIENT
        )

    def scheduler(self) -> KeyPair:
        return self.ca.issue(self._key("scheduler"), "system:kube-scheduler", CLIENT)

    def kubelet_client(self, node: str) -> KeyPair:
        """The client certificate of the kubelet of `node` for the API server."""
        key = self._key("kubelet-client", node)
        return self.ca.issue(key, f"system:node:{node}", CLIENT, organization="system:nodes")

    # Servers of kubelets

    def kubelet_server(self, node: str, address: IPv4Address) -> KeyPair:
        """The server certificate of a kubelet, like those of kubernetes.io/kubelet-serving."""
        return self.ca.issue(
            self._key("kubelet-server", node),
            f"system:node:{node}",
            SERVER,
            organization="system:nodes",
            sans=(node, str(address)),
        )

    def _key(self, *path: str) -> ec.EllipticCurvePrivateKey:
        return _derive_key(self.seed, self.plex, self.epoch, *path)


def argocd_redis_password(seed: RootSeed, plex: str, epoch: int) -> Secret:
    """The password of the cache of Argo CD in a plex: 64 hex digits."""
    return Secret(seed.derive("argocd", "redis", plex, str(epoch)).hex().encode())


def _derive_key(seed: RootSeed, plex: str, epoch: int, *path: str) -> ec.EllipticCurvePrivateKey:
    return private_key(seed.derive("pki", plex, str(epoch), *path, length=48))


def _etcd_sans(master: Master) -> tuple[str, ...]:
    return (master.name, "localhost", str(master.address), "127.0.0.1", "::1")
