"""A real guest's traffic, whose card leaves checksums and segments to the host."""

import hashlib
import json
import os

import pytest

from tests.boot.conftest import Up
from tests.pods.namespaces import Namespace
from tests.pods.traffic import TCP, UDP, answering

VM_GW = "192.168.254.1"
MUCH = 20 << 20
# More than any MTU on the way.
DATAGRAM = bytes(range(256)) * 12


def greeting(space: Namespace, address: str, port: int = 22) -> bytes:
    with space.socket(TCP) as client:
        client.connect((address, port))
        return client.recv(4)


def test_the_guest_calls_out_as_the_pod(up: Up) -> None:
    site = up.pod.site
    with answering(site.client, TCP, 443):
        reply = json.loads(up.ssh(f"nc {site.client_ip} 443"))
    assert reply == {"who": "client", "saw": site.pod_ip}


def test_the_guest_reaches_itself_by_the_pods_address(up: Up) -> None:
    assert up.ssh(f"nc {up.pod.site.pod_ip} 22 </dev/null | head -c 4") == "SSH-"


@pytest.mark.parametrize("address", ["127.0.0.1", "pod"])
def test_the_pods_own_processes_reach_the_guest(up: Up, address: str) -> None:
    """As exec probes, port-forward and sidecars do."""
    site = up.pod.site
    asked = site.pod_ip if address == "pod" else address
    assert greeting(site.pod, asked) == b"SSH-"


def test_the_guest_has_no_other_way_to_its_screen(up: Up) -> None:
    assert greeting(up.pod.site.client, up.pod.site.pod_ip, 5900) == b"RFB "
    assert up.ssh(f"nc -w 5 {VM_GW} 5900 </dev/null 2>&1 | head -c 4") != "RFB "


def test_much_data_arrives_whole_both_ways(up: Up) -> None:
    blob = os.urandom(MUCH)
    digest = hashlib.sha256(blob).hexdigest()
    assert up.ssh("tee /run/blob | sha256sum", blob).split()[0] == digest
    received = up.pod.client.run("cat /run/blob && rm /run/blob")
    assert hashlib.sha256(received).hexdigest() == digest


def test_datagrams_in_pieces_arrive_whole_both_ways(up: Up) -> None:
    up.ssh("mkfifo /run/echo; (nc.openbsd -u -l 7 </run/echo | cat >/run/echo) >/dev/null 2>&1 &")
    up.ssh("until netstat -lun | grep -q ':7 '; do usleep 20000; done")
    with up.pod.site.client.socket(UDP) as client:
        client.connect((up.pod.site.pod_ip, 7))
        client.send(DATAGRAM)
        assert client.recv(8192) == DATAGRAM
    up.ssh("killall nc.openbsd; rm /run/echo")


def test_pings_come_back(up: Up) -> None:
    site = up.pod.site
    site.client.run("ping", "-c", "1", "-W", "5", "-s", "4000", site.pod_ip)
    assert "1 packets received" in up.ssh(f"ping -c 1 -W 5 -s 4000 {site.client_ip}")
