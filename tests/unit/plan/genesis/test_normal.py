"""The form in which the objects of two clusters can be compared."""

from __future__ import annotations

from typing import Any

from plexctl.plan.genesis.normal import normal_form


def cluster(number: int) -> dict[str, dict[str, Any]]:
    """A ReplicaSet and its pod, with the UIDs, times and names of cluster `number`."""
    template, suffix, time = f"5c{number}b", f"x{number}q4z", f"2026-01-0{number}T10:00:00Z"
    owner, pod = f"0000000{number}-aaaa", f"0000000{number}-bbbb"
    labels = {"k8s-app": "kube-dns", "pod-template-hash": template}
    replica_set = {
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"coredns-{template}",
            "uid": owner,
            "resourceVersion": str(number),
            "creationTimestamp": time,
            "labels": labels,
            "managedFields": [
                {"manager": name, "operation": "Update", "time": time}
                for name in sorted(("a", "b"), reverse=number > 1)
            ],
        },
    }
    return {
        f"/registry/replicasets/kube-system/coredns-{template}": replica_set,
        f"/registry/pods/kube-system/coredns-{template}-{suffix}": {
            "kind": "Pod",
            "metadata": {
                "name": f"coredns-{template}-{suffix}",
                "generateName": f"coredns-{template}-",
                "uid": pod,
                "labels": labels,
                "ownerReferences": [{"kind": "ReplicaSet", "uid": owner}],
                "managedFields": [
                    {
                        "manager": "m",
                        "operation": "Update",
                        "fieldsV1": {f'k:{{"uid":"{owner}"}}': {}},
                    }
                ],
            },
            "spec": {"nodeName": "demo1", "volumes": [{"name": f"kube-api-access-q{number}b7x"}]},
        },
    }


def test_two_clusters_with_the_same_objects_are_equal() -> None:
    assert normal_form(cluster(1)) == normal_form(cluster(2))


def test_a_uid_refers_to_the_object_that_has_it() -> None:
    found = normal_form(cluster(1))["/registry/pods/kube-system/coredns-${hash}-${suffix} on demo1"]

    owner = "${uid:/registry/replicasets/kube-system/coredns-${hash}}"
    assert found["metadata"]["ownerReferences"][0]["uid"] == owner
    assert list(found["metadata"]["managedFields"][0]["fieldsV1"]) == [f'k:{{"uid":"{owner}"}}']
    assert found["spec"]["volumes"][0]["name"] == "kube-api-access-${suffix}"


def test_another_value_is_a_difference() -> None:
    other = cluster(2)
    other["/registry/replicasets/kube-system/coredns-5c2b"]["spec"] = {"replicas": 2}

    assert normal_form(cluster(1)) != normal_form(other)


def service(address: str, *, chosen: bool) -> dict[str, Any]:
    owned = ("f:clusterIP", "f:type") if chosen else ("f:type",)
    fields: dict[str, Any] = {"f:spec": {one: {} for one in owned}}
    manager = {"manager": "m", "operation": "Apply", "fieldsV1": fields}
    metadata = {"name": "web", "managedFields": [manager]}
    spec = {"clusterIP": address, "clusterIPs": [address]}
    return {"kind": "Service", "metadata": metadata, "spec": spec}


def test_an_allocated_address_of_a_service_is_a_hole() -> None:
    key, address = "/registry/services/specs/shop/web", "10.96.3.7"
    allocated = {"kind": "IPAddress", "metadata": {"name": address}}
    found = normal_form(
        {key: service(address, chosen=False), f"/registry/ipaddresses/{address}": allocated}
    )

    hole = f"${{address:{key}}}"
    assert found[key]["spec"] == {"clusterIP": hole, "clusterIPs": [hole]}
    assert found[f"/registry/ipaddresses/{hole}"]["metadata"]["name"] == hole
    chosen = normal_form({key: service(address, chosen=True)})[key]
    assert chosen["spec"]["clusterIP"] == address


def test_the_address_of_a_pod_is_a_hole_unless_it_is_that_of_its_node() -> None:
    def pod(address: str) -> dict[str, Any]:
        status = {"podIP": address, "hostIP": "10.1.0.11", "podIPs": [{"ip": address}]}
        return {"kind": "Pod", "metadata": {"name": "web"}, "spec": {}, "status": status}

    key = "/registry/pods/shop/web"
    artifact = {"kind": "Source", "metadata": {"name": "s"}, "url": "http://10.2.0.7:9090/a"}
    found = normal_form({key: pod("10.2.0.7"), "/registry/sources/s": artifact})

    assert found[key]["status"]["podIPs"] == [{"ip": f"${{address:{key}}}"}]
    assert found["/registry/sources/s"]["url"] == f"http://${{address:{key}}}:9090/a"
    assert normal_form({key: pod("10.1.0.11")})[key]["status"]["podIP"] == "10.1.0.11"
