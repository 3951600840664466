"""The API address of a plex whose hosts are all other machines."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import yaml
from cryptography import x509

from plexctl.keys.pki import ClusterKeys
from plexctl.model.plex import ApiForward, Plex
from plexctl.plan.access import admin_kubeconfig, ssh_config
from plexctl.plan.inputs import Inputs
from plexctl.plan.kubernetes.kubeadm import cluster_configuration, endpoint
from plexctl.plan.plan import plan_plex

WAY = ApiForward(IPv4Address("192.0.2.7"), 20042)


def far(demo: Plex) -> Plex:
    return replace(demo, api_forward=WAY)


def test_a_user_calls_the_masters_host(demo: Plex, inputs: Inputs) -> None:
    kubeconfig = yaml.safe_load(admin_kubeconfig(far(demo), inputs.seed))

    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://192.0.2.7:20042"


def test_a_node_calls_the_master(demo: Plex) -> None:
    configuration = cluster_configuration(far(demo))

    assert configuration["controlPlaneEndpoint"] == endpoint(demo)
    assert configuration["apiServer"]["certSANs"] == ["192.0.2.7"]


def test_the_masters_host_forwards_to_the_api(demo: Plex, inputs: Inputs) -> None:
    master, *workers = plan_plex(far(demo), inputs).instances

    device = dict(dict(master.incus.devices)["api"])
    assert device == {
        "type": "proxy",
        "listen": "tcp:0.0.0.0:20042",
        "connect": "tcp:127.0.0.1:6443",
    }
    assert all("api" not in dict(worker.incus.devices) for worker in workers)
    assert "api" not in dict(plan_plex(demo, inputs).instances[0].incus.devices)


def test_the_certificate_of_the_api_has_that_address(demo: Plex, inputs: Inputs) -> None:
    from plexctl.plan.boot.node import _pki_files

    node = plan_plex(demo, inputs).nodes[0]
    keys = ClusterKeys.derive(inputs.seed, demo.name, demo.epoch)
    files = {file.path: file for file in _pki_files(far(demo), node, keys)}
    certificate = x509.load_pem_x509_certificate(files["/etc/kubernetes/pki/apiserver.crt"].content)

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert WAY.address in names.get_values_for_type(x509.IPAddress)


def test_ssh_goes_through_the_host(demo: Plex) -> None:
    way = replace(WAY, ssh="admin@192.0.2.7:2222")

    config = ssh_config(replace(demo, api_forward=way), Path("/x"))

    assert "ProxyCommand ssh -p 2222 -W %h:%p admin@192.0.2.7" in config
    assert "ProxyCommand" not in ssh_config(far(demo), Path("/x"))
