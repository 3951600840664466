"""Settings of kubeadm, kube-proxy and kubelet: those that a plex file may contain, and those that
plexctl sets itself, each with what to use instead.

The names are those of kubeadm.k8s.io/v1beta4, kubeproxy.config.k8s.io/v1alpha1 and
kubelet.config.k8s.io/v1beta1. The programs ignore a misspelt name, or fail at boot. Here it is a
fault of the file.
"""
# ruff: noqa: N815 - the fields have the names of Kubernetes

from __future__ import annotations

from dataclasses import dataclass

from plexctl.config.shape import (
    ListOf,
    MapOf,
    Record,
    Scalar,
    Settings,
    Shape,
    entry,
    flag,
    needed,
    text,
)
from plexctl.config.values import PATH, TEXT

_OBJECT = {"apiVersion": "plexctl writes it", "kind": "plexctl writes it"}
_CERTIFICATES = "plexctl generates certificates before the first boot; `epoch` renews them"
_IMAGES = "the nodes' image contains the images; `kubernetes` sets their versions"
_DETECTED = "plexctl detects it on the host"


def _argument_value(value: object) -> str:
    return "" if value == "" else text(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeadmArgument:
    name: str = needed(TEXT, "Name of the flag, without dashes.", "")
    value: str = needed(Scalar(_argument_value, {"type": "string"}), "Its value.", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeadmVolume:
    name: str = needed(TEXT, "Name of the volume.", "")
    hostPath: str = needed(PATH, "Path on the master.", "")
    mountPath: str = needed(PATH, "Path in the pod.", "")
    readOnly: bool = entry(flag(), "Whether it is read-only in the pod.", False)
    pathType: str | None = entry(
        TEXT, "Type of the path, for example File or DirectoryOrCreate.", None
    )


def _anything(names: str) -> dict[str, Shape[object] | None]:
    return dict.fromkeys(names.split())


_ARGUMENTS: Shape[object] = ListOf(Record(KubeadmArgument))
_COMPONENT: dict[str, Shape[object] | None] = {
    "extraArgs": _ARGUMENTS,
    "extraVolumes": ListOf(Record(KubeadmVolume)),
}
_NO_ENVIRONMENT = {"extraEnvs": "it is not supported; use `extraArgs`"}

CLUSTER = Settings(
    known={
        "apiServer": Settings(_COMPONENT, {**_NO_ENVIRONMENT, "certSANs": _CERTIFICATES}),
        "controllerManager": Settings(_COMPONENT, _NO_ENVIRONMENT),
        "scheduler": Settings(_COMPONENT, _NO_ENVIRONMENT),
        "etcd": Settings(
            {
                "local": Settings(
                    {"extraArgs": _ARGUMENTS},
                    {
                        **_NO_ENVIRONMENT,
                        "dataDir": "kubeadm expects the data there",
                        "imageRepository": _IMAGES,
                        "imageTag": _IMAGES,
                        "peerCertSANs": _CERTIFICATES,
                        "serverCertSANs": _CERTIFICATES,
                    },
                )
            },
            {"external": "the master runs its own etcd"},
        ),
        "featureGates": MapOf(TEXT, flag()),
    },
    owned={
        **_OBJECT,
        "caCertificateValidityPeriod": _CERTIFICATES,
        "certificateValidityPeriod": _CERTIFICATES,
        "certificatesDir": _CERTIFICATES,
        "encryptionAlgorithm": _CERTIFICATES,
        "clusterName": "it is the name of the plex, that is, of its folder",
        "controlPlaneEndpoint": "it is the address of node 1 in `networks.nodes`",
        "dns": "use `dns.replicas`",
        "imageRepository": _IMAGES,
        "kubernetesVersion": "use `kubernetes`",
        "networking": "use `networks.pods`, `networks.services` and `domain`",
        "proxy": "use `kubeadm.proxy` for settings of kube-proxy",
    },
)

PROXY = Settings(
    known=_anything(
        """
        bindAddress bindAddressHardFail configSyncPeriod conntrack detectLocal detectLocalMode
        enableProfiling featureGates healthzBindAddress iptables ipvs logging metricsBindAddress
        nftables nodePortAddresses oomScoreAdj portRange showHiddenMetricsForVersion
        """
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
    known=_anything(
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
        """
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
