"""Settings of kubeadm, kube-proxy and kubelet: those that a plex file may contain, and those that
plexctl sets itself, each with what to use instead.

The names are those of kubeadm.k8s.io/v1beta4, kubeproxy.config.k8s.io/v1alpha1 and
kubelet.config.k8s.io/v1beta1. The programs ignore a misspelt name, or fail at boot. Here it is a
fault of the file.
"""
# ruff: noqa: N815, RUF009 - the fields have the names of Kubernetes; `entry` is a dataclasses.field

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from plexctl.config.faults import Fault
from plexctl.config.kubernetes_types import FieldOf
from plexctl.config.shape import (
    ListOf,
    MapOf,
    Record,
    Scalar,
    Schema,
    Settings,
    Shape,
    Unreadable,
    choice,
    entry,
    flag,
    needed,
    text,
)
from plexctl.config.source import Where, YamlFile
from plexctl.config.values.flags import FLAG, FLAG_VALUE, GATE, VARIABLE
from plexctl.config.values.names import VOLUME
from plexctl.config.values.paths import PATH

_OBJECT = {"apiVersion": "plexctl writes it", "kind": "plexctl writes it"}
_CERTIFICATES = "plexctl generates certificates before the first boot; `epoch` renews them"
_IMAGES = "the nodes' image contains the images; `kubernetes` sets their versions"
_DETECTED = "plexctl detects it on the host"


def _one_line(value: object) -> str:
    given = "" if value == "" else text(value)
    if not re.fullmatch(FLAG_VALUE, given):
        raise Fault("contains a control character", "write the value on one line")
    return given


class PathType(StrEnum):
    """Types of the paths of volumes (core/v1 HostPathType)."""

    DIRECTORY_OR_CREATE = "DirectoryOrCreate"
    DIRECTORY = "Directory"
    FILE_OR_CREATE = "FileOrCreate"
    FILE = "File"
    SOCKET = "Socket"
    CHARACTER_DEVICE = "CharDevice"
    BLOCK_DEVICE = "BlockDevice"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeadmArgument:
    name: str = needed(FLAG, "Name of the flag, without dashes at its start.", "")
    value: str = needed(Scalar(_one_line, {"type": "string"}), "Its value.", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeadmVariable:
    name: str = needed(VARIABLE, "Name of the environment variable.", "")
    value: str = needed(Scalar(_one_line, {"type": "string"}), "Its value. Not for secrets.", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeadmVolume:
    name: str = needed(VOLUME, "Name of the volume.", "")
    hostPath: str = needed(PATH, "Path on the master.", "")
    mountPath: str = needed(PATH, "Path in the pod.", "")
    readOnly: bool = entry(flag(), "Whether it is read-only in the pod.", False)
    pathType: PathType | None = entry(
        choice(PathType), "Type of the path, for example File or DirectoryOrCreate.", None
    )


def _fields(program: str, names: str) -> dict[str, Shape[object] | None]:
    return {name: FieldOf(program, name) for name in names.split()}


OWN_VOLUMES = frozenset(
    {
        *("audit-log", "audit-policy", "ca-certs", "config", "etc-ca-certificates", "etc-pki"),
        *("etcd-certs", "etcd-data", "flexvolume-dir", "k8s-certs", "kubeconfig"),
        *("usr-local-share-ca-certificates", "usr-share-ca-certificates"),
    }
)
"""Volumes that pods of the control plane have in any case, or that kubeadm adds."""


@dataclass(frozen=True)
class _Volumes:
    """A list of volumes for one pod: no two have a name or a place in the pod in common."""

    shape: ListOf[KubeadmVolume]

    def read(self, value: object, source: YamlFile, where: Where) -> tuple[KubeadmVolume, ...]:
        volumes = self.shape.read(value, source, where)
        sound = True
        for field in ("name", "mountPath"):
            taken = set(OWN_VOLUMES) if field == "name" else set[str]()
            for place, volume in enumerate(volumes):
                given = getattr(volume, field)
                if given in taken:
                    source.report(
                        (*where, place, field),
                        f"another volume of the pod has {given} already",
                        "choose another name" if field == "name" else "choose another path",
                    )
                    sound = False
                taken.add(given)
        if not sound:
            raise Unreadable
        return volumes

    def schema(self) -> Schema:
        return self.shape.schema()


_ARGUMENTS: Shape[object] = ListOf(Record(KubeadmArgument))
_VARIABLES: Shape[object] = ListOf(Record(KubeadmVariable))
_COMPONENT: dict[str, Shape[object] | None] = {
    "extraArgs": _ARGUMENTS,
    "extraEnvs": _VARIABLES,
    "extraVolumes": _Volumes(ListOf(Record(KubeadmVolume))),
}

CLUSTER = Settings(
    known={
        "apiServer": Settings(_COMPONENT, {"certSANs": _CERTIFICATES}),
        "controllerManager": Settings(_COMPONENT),
        "scheduler": Settings(_COMPONENT),
        "etcd": Settings(
            {
                "local": Settings(
                    {"extraArgs": _ARGUMENTS, "extraEnvs": _VARIABLES},
                    {
                        "dataDir": "kubeadm expects the data there",
                        "imageRepository": _IMAGES,
                        "imageTag": _IMAGES,
                        "peerCertSANs": _CERTIFICATES,
                        "serverCertSANs": _CERTIFICATES,
                    },
                )
            },
            {"external": "each master runs a member of etcd"},
        ),
        "featureGates": MapOf(GATE, flag()),
    },
    owned={
        **_OBJECT,
        "caCertificateValidityPeriod": _CERTIFICATES,
        "certificateValidityPeriod": _CERTIFICATES,
        "certificatesDir": _CERTIFICATES,
        "encryptionAlgorithm": _CERTIFICATES,
        "clusterName": "it is the name of the plex, that is, of its folder",
        "controlPlaneEndpoint": "it is address 10 of `networks.nodes`",
        "dns": "use `dns.replicas`",
        "imageRepository": _IMAGES,
        "kubernetesVersion": "use `kubernetes`",
        "networking": "use `networks.pods`, `networks.services` and `domain`",
        "proxy": "use `kubeadm.proxy` for settings of kube-proxy",
    },
)

PROXY = Settings(
    known=_fields(
        "proxy",
        """
        bindAddress bindAddressHardFail configSyncPeriod conntrack detectLocal detectLocalMode
        enableProfiling featureGates healthzBindAddress iptables ipvs logging metricsBindAddress
        nftables nodePortAddresses oomScoreAdj portRange showHiddenMetricsForVersion
        """,
    ),
    owned={
        **_OBJECT,
        "clientConnection": "plexctl writes it",
        "clusterCIDR": "use `networks.pods`",
        "hostnameOverride": "it is the node's name",
        "mode": "kube-proxy uses nftables",
    },
)

KUBELET = Settings(
    known=_fields(
        "kubelet",
        """
        address allowedUnsafeSysctls cgroupRoot cgroupsPerQOS
        configMapAndSecretChangeDetectionStrategy containerLogMaxFiles containerLogMaxSize
        containerLogMaxWorkers containerLogMonitorInterval contentType cpuCFSQuota
        cpuCFSQuotaPeriod cpuManagerPolicy cpuManagerPolicyOptions
        cpuManagerReconcilePeriod crashLoopBackOff enableContentionProfiling
        enableControllerAttachDetach enableDebugFlagsHandler enableDebuggingHandlers
        enableProfilingHandler enableServer enableSystemLogHandler enableSystemLogQuery
        enforceNodeAllocatable eventBurst eventRecordQPS evictionHard evictionMaxPodGracePeriod
        evictionMinimumReclaim evictionPressureTransitionPeriod evictionSoft evictionSoftGracePeriod
        featureGates fileCheckFrequency hairpinMode healthzBindAddress healthzPort
        httpCheckFrequency imageGCHighThresholdPercent imageGCLowThresholdPercent imageMaximumGCAge
        imageMinimumGCAge imagePullCredentialsVerificationPolicy imageServiceEndpoint
        iptablesDropBit iptablesMasqueradeBit kernelMemcgNotification kubeAPIBurst kubeAPIQPS
        kubeReserved kubeReservedCgroup kubeletCgroups localStorageCapacityIsolation logging
        makeIPTablesUtilChains maxOpenFiles maxParallelImagePulls maxPods memoryManagerPolicy
        memoryReservationPolicy memorySwap memoryThrottlingFactor mergeDefaultEvictionSettings
        nodeLeaseDurationSeconds nodeStatusMaxImages nodeStatusReportFrequency
        nodeStatusUpdateFrequency oomScoreAdj podLogsDir podPidsLimit podsPerCore
        preloadedImagesVerificationAllowlist protectKernelDefaults qosReserved readOnlyPort
        registryBurst registryPullQPS reservedMemory reservedSystemCPUs resolvConf
        runtimeRequestTimeout seccompDefault serializeImagePulls showHiddenMetricsForVersion
        shutdownGracePeriod shutdownGracePeriodByPodPriority shutdownGracePeriodCriticalPods
        singleProcessOOMKill streamingConnectionIdleTimeout syncFrequency systemCgroups
        systemReserved systemReservedCgroup tlsCipherSuites tlsCurvePreferences tlsMinVersion
        topologyManagerPolicy topologyManagerPolicyOptions topologyManagerScope tracing
        userNamespaces volumePluginDir volumeStatsAggPeriod
        """,
    ),
    owned={
        **_OBJECT,
        "authentication": "plexctl writes it",
        "authorization": "plexctl writes it",
        "cgroupDriver": _DETECTED,
        "clusterDNS": "use `networks.services`",
        "clusterDomain": "use `domain`",
        "containerRuntimeEndpoint": "it is the containerd of the nodes' image",
        "failCgroupV1": _DETECTED,
        "failSwapOn": _DETECTED,
        "podCIDR": "use `networks.pods`",
        "port": "the API and the certificates expect 10250",
        "providerID": "plexctl writes it",
        "registerNode": "use a `type` with `kubernetes: false` for nodes that do not join",
        "registerWithTaints": "use `taints`",
        "rotateCertificates": _CERTIFICATES,
        "runOnce": "kubelets keep running",
        "serverTLSBootstrap": _CERTIFICATES,
        "staticPodPath": "plexctl writes it",
        "staticPodURL": "plexctl writes it",
        "staticPodURLHeader": "plexctl writes it",
        "tlsCertFile": _CERTIFICATES,
        "tlsPrivateKeyFile": _CERTIFICATES,
    },
)
