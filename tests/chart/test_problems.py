"""Values that do not fit together: each message, and all of them at once."""

from typing import Any

import pytest

from tests.chart.helm import KEY, NEWEST, OLDEST, Helm

PUBLIC = {"sshKey": KEY}

# With what they keep of three replicas.
BUDGETS: list[tuple[dict[str, Any], int]] = [
    ({"maxUnavailable": "66%"}, 1),
    ({"maxUnavailable": 2}, 1),
    ({"minAvailable": "34%"}, 2),
    ({"minAvailable": 4}, 3),
]

PROBLEMS: list[tuple[dict[str, Any], str]] = [
    (
        {},
        "sshKey is empty and there is no userdata, so nobody could log in; set sshKey to a public "
        "key (--set-file sshKey=$HOME/.ssh/id_ed25519.pub), or userdata to what the guest needs",
    ),
    (
        {"sshKey": "-----BEGIN OPENSSH PRIVATE KEY-----"},
        "sshKey is a private key; set it to the public one, whose file ends in .pub",
    ),
    (
        {"userdata": "#!", "userdataFrom": {"secret": "mine"}},
        "userdata and userdataFrom are both set; keep one of them",
    ),
    (
        {"userdataFrom": {"secret": "mine", "configMap": "mine"}},
        "userdataFrom.configMap and userdataFrom.secret are both set; keep one of them",
    ),
    (
        {**PUBLIC, "metadata": {"a": 1}, "metadataFrom": {"secret": "mine"}},
        "metadata and metadataFrom are both set; keep one of them",
    ),
    (
        {**PUBLIC, "metadataFrom": {"secret": "mine", "configMap": "mine"}},
        "metadataFrom.configMap and metadataFrom.secret are both set; keep one of them",
    ),
    (
        {**PUBLIC, "image": {"target": "base.qcow2", "checksum": "sha256:00"}},
        "image.checksum is set without image.source: there is nothing to check",
    ),
    (
        {**PUBLIC, "configDrive": {"type": "ignition"}},
        "configDrive.type is ignition, but there is no userdata; set it to an Ignition config",
    ),
    (
        {**PUBLIC, "vnc": {"open": True, "existingSecret": "mine"}},
        "vnc.open is true and vnc.existingSecret is mine; keep one of them",
    ),
    (
        {**PUBLIC, "vnc": {"enabled": False, "open": True}},
        "vnc.enabled is false, so vnc.open and vnc.existingSecret have no meaning; leave them out",
    ),
    (
        {**PUBLIC, "network": {"hostfwd": ["tcp::22-:22"]}},
        "network.hostfwd is for network.mode user; with nat every port leads to the VM",
    ),
    (
        {**PUBLIC, "network": {"mode": "user", "podPorts": ["tcp/1"]}},
        "network.podPorts is for network.mode nat; with user only what network.hostfwd says leads "
        "to the VM",
    ),
    (
        {**PUBLIC, "network": {"mode": "user", "natBackend": "nft"}},
        "network.natBackend is nft, and network.mode user translates no addresses; leave it out",
    ),
    (
        {**PUBLIC, "network": {"mode": "user", "dhcp": False}},
        "network.dhcp is false, and with network.mode user there is always DHCP; leave it out",
    ),
    (
        {**PUBLIC, "network": {"mode": "user", "hostfwd": ["tcp::5900-:5900"]}},
        "network.hostfwd takes port 5900, which is VNC's; choose another one, or set vnc.enabled "
        "to false",
    ),
    (
        {**PUBLIC, "network": {"vmIP": "10.0.0.2"}},
        "network.vmIP and network.vmGateway are the two hosts of one /30; set both or neither",
    ),
    (
        {**PUBLIC, "probes": {"readiness": {"port": 22, "agent": True}}},
        "probes.readiness.port and probes.readiness.agent are both set; keep one of them",
    ),
    (
        {**PUBLIC, "probes": {"readiness": {"port": 5900}}},
        "probes.readiness.port is 5900, which is VNC's and no port of the VM",
    ),
    (
        {**PUBLIC, "probes": {"readiness": {"port": 80}}, "network": {"mode": "user"}},
        "probes.readiness.port is 80, but with network.mode user QEMU itself takes every "
        "connection, whatever the VM does; leave it out, or use probes.readiness.agent",
    ),
    (
        {**PUBLIC, "testPort": 5900, "securityLevel": "restricted"},
        "testPort is 5900, but with network.mode user QEMU itself takes every connection, whatever "
        "the VM does; accepted: 22, where ssh's greeting can only be the VM's, or 0",
    ),
    (
        {**PUBLIC, "service": {"ports": {"http": {"port": 80, "nodePort": 30080}}}},
        "service.ports.http has a nodePort, but service.type is ClusterIP; accepted: NodePort or "
        "LoadBalancer",
    ),
    (
        {
            **PUBLIC,
            "securityLevel": "restricted",
            "service": {"ports": {"sig": {"port": 1, "protocol": "SCTP"}}},
        },
        "service.ports.sig is SCTP, which network.mode user cannot forward",
    ),
    (
        {
            **PUBLIC,
            "network": {"mode": "user", "hostfwd": ["tcp::2222-:22", "udp::80-:80"]},
            "service": {"ports": {"ssh": 22, "http": 80}},
        },
        "service.ports.http leads to the VM's tcp port 80, which network.hostfwd does not let in "
        "(tcp::2222-:22, udp::80-:80)",
    ),
    (
        {**PUBLIC, "securityLevel": "restricted", "network": {"mode": "nat"}},
        "securityLevel is restricted and network.mode nat, which needs the capability NET_ADMIN; "
        "leave network.mode out",
    ),
    (
        {**PUBLIC, "securityLevel": "restricted", "kvm": "privileged"},
        "securityLevel is restricted and kvm privileged; name a device-plugin resource as kvm, or "
        "set it to off",
    ),
    ({**PUBLIC, "vm": {"memory": "63Mi"}}, "vm.memory is 63Mi; accepted: 64Mi or more"),
    (
        {**PUBLIC, "vm": {"diskSize": ""}},
        "vm.diskSize and pet.size are both empty; without a vm.diskSize set pet.size to what the "
        "image's disk needs",
    ),
    (
        {**PUBLIC, "pet": {"size": "10G"}},
        "pet.size is 10G, less than the disk of 10Gi that is kept on it (vm.diskSize)",
    ),
    (
        {**PUBLIC, "resources": {"limits": {"memory": "1Gi"}}},
        "resources.limits.memory is 1Gi, less than the 1298Mi that a VM with vm.memory 1Gi needs; "
        "leave it out, or lower vm.memory",
    ),
    (
        {**PUBLIC, "extraDisks": {"data": {}}},
        "extraDisks.data needs either size, for a claim of its own, or claimName, for one that is "
        "there",
    ),
    (
        {**PUBLIC, "extraDisks": {"data": {"size": "1Gi", "file": "disk.img"}}},
        "extraDisks.data.file is for a claim that is there (claimName)",
    ),
    (
        {**PUBLIC, "extraDisks": {"data": {"claimName": "mine", "className": "fast"}}},
        "extraDisks.data.className is for a claim of its own (size)",
    ),
    (
        {**PUBLIC, "replicas": 2, "extraDisks": {"data": {"claimName": "mine"}}},
        "extraDisks.data.claimName is one disk, and replicas is 2: two VMs that write to one disk "
        "destroy it",
    ),
    (
        {**PUBLIC, "vms": {"a": {}, "b": {}}, "extraDisks": {"data": {"claimName": "mine"}}},
        "vms.a: extraDisks.data and vms.b: extraDisks.data are one disk, claim mine: two VMs that "
        "write to one disk destroy it, and so does one that has it twice",
    ),
    (
        {
            **PUBLIC,
            "extraDisks": {
                "a": {"claimName": "mine", "file": "disk.img"},
                "b": {"claimName": "mine", "file": "./disk.img"},
            },
        },
        "extraDisks.a and extraDisks.b are one disk, disk.img of claim mine: two VMs that write to "
        "one disk destroy it, and so does one that has it twice",
    ),
    (
        {**PUBLIC, "replicas": 3, "podDisruptionBudget": {"enabled": True}},
        "podDisruptionBudget keeps 2 of 3 replicas that a ReadWriteOnce shared volume keeps on one "
        "node: the first one to leave it would wait for the others, and they for it, so the node "
        "could never be drained; set shared.accessMode to ReadWriteMany, shared.enabled to false, "
        "or podDisruptionBudget.maxUnavailable to 100%",
    ),
    *(
        (
            {**PUBLIC, "replicas": 3, "podDisruptionBudget": {"enabled": True, **budget}},
            f"podDisruptionBudget keeps {kept} of 3 replicas that a ReadWriteOnce shared volume "
            "keeps on one node: the first one to leave it would wait for the others, and they for "
            "it, so the node could never be drained; set shared.accessMode to ReadWriteMany, "
            "shared.enabled to false, or podDisruptionBudget.maxUnavailable to 100%",
        )
        for budget, kept in BUDGETS
    ),
    (
        {**PUBLIC, "shared": {"accessMode": "ReadWriteOncePod"}, "vms": {"a": {}, "b": {}}},
        "shared.accessMode is ReadWriteOncePod, so one pod can use the volume, for 2 VMs; "
        "accepted: ReadWriteOnce or ReadWriteMany",
    ),
    (
        {**PUBLIC, "shared": {"accessMode": "ReadWriteOncePod"}, "replicas": 3},
        "shared.accessMode is ReadWriteOncePod, so one pod can use the volume, for 3 VMs; "
        "accepted: ReadWriteOnce or ReadWriteMany",
    ),
    (
        {**PUBLIC, "resources": {"requests": {"memory": "2Gi"}}},
        "resources.requests.memory is 2Gi, more than the limit of 1298Mi; set "
        "resources.limits.memory to as much, or leave it out",
    ),
    (
        {**PUBLIC, "resources": {"requests": {"memory": "3G"}, "limits": {"memory": 2147483648}}},
        "resources.requests.memory is 3G, more than the limit of 2147483648; set "
        "resources.limits.memory to as much, or leave it out",
    ),
    *(
        (
            {**PUBLIC, where: {key: "x"}},
            f"{where} sets {key}, which the chart itself sets; leave it out",
        )
        for where, key in [
            ("labels", "app.kubernetes.io/name"),
            ("labels", "app.kubernetes.io/version"),
            ("labels", "helm.sh/chart"),
            ("podLabels", "app.kubernetes.io/component"),
            ("podLabels", "berth/vm"),
            ("annotations", "kubectl.kubernetes.io/default-container"),
            ("podAnnotations", "checksum/guest"),
        ]
    ),
    *(
        (
            {**PUBLIC, "service": {"ports": {"ssh": 22}, "spec": {key: value}}},
            f"service.spec sets {key}, which the chart itself sets; leave it out",
        )
        for key, value in [("type", "NodePort"), ("selector", {}), ("ports", [])]
    ),
    (
        {**PUBLIC, "extraEnv": [{"name": "VM_CPUS", "value": "2"}]},
        "extraEnv sets VM_CPUS, which the chart sets from a value of its own",
    ),
    (
        {**PUBLIC, "extraVolumes": [{"name": "pet", "emptyDir": {}}]},
        "extraVolumes has pet, which is a volume of the chart's own; choose another name",
    ),
    (
        {**PUBLIC, "extraVolumeMounts": [{"name": "mine", "mountPath": "/shared/"}]},
        "extraVolumeMounts mounts mine at /shared/, where the chart mounts a volume of its own",
    ),
    (
        {**PUBLIC, "shared": {"enabled": False, "existingClaim": "mine"}},
        "shared.existingClaim is mine, but shared.enabled is false; keep one of them",
    ),
    (
        {**PUBLIC, "vms": {"a": {}, "a-ports": {}}},
        "vms.a-ports is the name that the Service of vms.a has; choose another one",
    ),
    (
        {**PUBLIC, "fullnameOverride": "a" * 53},
        f"the VM would be named {'a' * 53}, 53 characters; accepted: 52 or less (hint: "
        "fullnameOverride, or a shorter release name)",
    ),
    (
        {**PUBLIC, "fullnameOverride": "4ever"},
        "the VM would be named 4ever; accepted: lower-case letters, digits and hyphens, and a "
        "letter first, since it is a host name (hint: fullnameOverride)",
    ),
]


@pytest.mark.parametrize("helm", [NEWEST, OLDEST], ids=lambda helm: helm.name)
@pytest.mark.parametrize(("values", "problem"), PROBLEMS, ids=[str(each) for each, _ in PROBLEMS])
def test_problem(helm: Helm, values: dict[str, Any], problem: str) -> None:
    assert helm.refusal(values) == [f"- {problem}"]


def test_all_problems_at_once() -> None:
    values = {
        "vm": {"memory": "10Mi"},
        "vms": {"one": {}, "two": {"sshKey": KEY, "vnc": {"enabled": False, "open": True}}},
    }
    assert [problem.partition(";")[0] for problem in NEWEST.refusal(values)] == [
        "- vms.one: sshKey is empty and there is no userdata, so nobody could log in",
        "- vms.one: vm.memory is 10Mi",
        "- vms.two: vnc.enabled is false, so vnc.open and vnc.existingSecret have no meaning",
        "- vms.two: vm.memory is 10Mi",
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"userdata": "#!/bin/sh\n"},
        {"configDrive": {"type": "none"}},
        {**PUBLIC, "image": {"target": "base.qcow2"}},
        {**PUBLIC, "vm": {"diskSize": ""}, "pet": {"size": "1Gi"}},
        {**PUBLIC, "pet": {"size": "10Gi"}},
        {**PUBLIC, "resources": {"limits": {"memory": "1298Mi"}}},
        {**PUBLIC, "resources": {"limits": {"memory": 1361051648}}},
        {**PUBLIC, "probes": {"readiness": {"port": 5900}}, "vnc": {"enabled": False}},
        {
            **PUBLIC,
            "probes": {"readiness": {"agent": True}},
            "network": {"mode": "user", "hostfwd": ["tcp::80-:80"]},
        },
        {**PUBLIC, "testPort": 0, "network": {"mode": "user"}},
        {**PUBLIC, "vms": {"a": {}, "b-ports": {}}},
        {**PUBLIC, "podDisruptionBudget": {"enabled": True}},
        {
            **PUBLIC,
            "extraDisks": {
                "a": {"claimName": "mine", "file": "a.img"},
                "b": {"claimName": "mine", "file": "b.img"},
                "c": {"size": "1Gi"},
            },
        },
        *(
            {**PUBLIC, "replicas": 3, "podDisruptionBudget": {"enabled": True, **budget}}
            for budget in (
                {"maxUnavailable": 3},
                {"maxUnavailable": "100%"},
                {"maxUnavailable": "67%"},
                {"minAvailable": 0},
                {"minAvailable": "0%"},
            )
        ),
        {**PUBLIC, "shared": {"accessMode": "ReadWriteOncePod"}},
        {**PUBLIC, "resources": {"requests": {"memory": "1298Mi"}}},
        {**PUBLIC, "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}}},
        {
            **PUBLIC,
            "extraDisks": {"data": {"claimName": "mine"}},
            "vms": {"new": {}, "old": {"replicas": 0}},
        },
    ],
    ids=str,
)
def test_no_problem(values: dict[str, Any]) -> None:
    # What is next to a problem.
    assert NEWEST.template(values).of_kind("StatefulSet")
