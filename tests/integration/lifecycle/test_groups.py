"""A second plex, whose nodes differ in size, labels, taints and settings; one is no kubelet's."""

from __future__ import annotations

from ..support import Cluster, Lab, eventually, host, host_state, of_plex, uptime

NODES = {"lifecycle1", "lifecycle2", "lifecycle3"}
GROUPS = """
workers: 2
groups:
  - nodes: 2
    size: {cpu: 1, memory: 1GiB}
    labels: {disk: fast}
    taints: ["only=tests:NoSchedule"]
    kubelet: {maxPods: 17}
  - nodes: 3
    type: adm
kubeadm:
  cluster:
    apiServer:
      extraArgs: [{name: event-ttl, value: 2h}]
"""


def test_another_plex_comes_and_goes_whose_groups_differ_as_their_file_says(
    lab: Lab, lifecycle: Lab, cluster: Cluster
) -> None:
    """`lifecycle` is up all the while, and stays as it is: the two have networks of their own."""
    before = uptimes()
    lab.run("init", "side")
    file = lab.root / "clusters" / "side" / "plex.yaml"
    kept = [line for line in file.read_text().splitlines() if not line.startswith(("workers", "#"))]
    file.write_text("\n".join(kept) + GROUPS)
    try:
        lab.run("up", "side", timeout=1800)
        kubeconfig = lab.root / "side.kubeconfig"
        lab.run("kubeconfig", "side", "--output", str(kubeconfig))
        side = Cluster(cluster.kubectl, kubeconfig)

        assert side.ready() == {"side1", "side2"}
        assert cluster.ready() == NODES
        second = side.get("node", "side2")
        assert second["metadata"]["labels"]["disk"] == "fast"
        assert {"key": "only", "value": "tests", "effect": "NoSchedule"} in second["spec"]["taints"]
        assert second["status"]["capacity"]["pods"] == "17"
        limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        if host().facts().cgroup == 2:
            limit = "/sys/fs/cgroup/memory.max"
        assert host().execute("side2", ("cat", limit)).stdout.strip() == str(1 << 30)
        server = ("pod", "-n", "kube-system", "kube-apiserver-side1")
        # kubelet shows static pods to the API only some time after its node is there.
        eventually("the API server is shown", lambda: bool(side.run("get", *server, check=False)))
        assert "--event-ttl=2h" in side.get(*server)["spec"]["containers"][0]["command"]

        assert host().execute("side3", ("kubectl", "version", "--client")).code == 0
        assert lab.run("ssh", "side3", "--", "hostname").out.strip() == "side3"
        assert lab.run("plan", "side").code == 0
    finally:
        lab.run("destroy", "side", "-y", code=None)
        file.unlink(missing_ok=True)
    assert of_plex(host_state(), "side") == set()
    assert uptimes() == before
    assert cluster.ready() == NODES


def uptimes() -> dict[str, float]:
    return {name: uptime(name) for name in NODES}
