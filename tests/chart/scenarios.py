"""Values files of different users. Together they set every value: test_values.py sees to it."""

from typing import Any

from tests.chart.helm import KEY

# What a user edits.
DEFAULT = {"className": "fast", "sshKey": KEY}

RESTRICTED = {
    "sshKey": KEY,
    "securityLevel": "restricted",
    "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
}

PRIVILEGED = {
    "sshKey": KEY,
    "kvm": "privileged",
    "vnc": {"open": True},
    "probes": {"readiness": {"port": 22}},
}

# As the first Berth had it: image and disk on one volume, all of the guest's configuration given.
ONE_VOLUME = {
    "userdata": "#!/bin/sh\necho '<hello>' > /dev/ttyS0\n",
    "metadata": {"uuid": "ub16-smp-test", "availability-zone": "moon"},
    "shared": {"enabled": False},
    "pet": {"size": "7Gi"},
    "vm": {"cpus": 2, "memory": "2Gi", "diskSize": ""},
    "image": {"source": "http://images.example/ub16.img", "target": "ub16.qcow2"},
    "service": {"ports": {"ssh": 22}, "type": "NodePort"},
    "vnc": {"enabled": False},
}

SEVERAL: dict[str, Any] = {
    "sshKey": KEY,
    "shared": {"accessMode": "ReadWriteMany"},
    "image": {
        "source": "https://images.example/base.qcow2",
        "checksum": "https://images.example/SHA256SUMS",
    },
    "vms": {
        "db": {"vm": {"memory": "4Gi"}, "onPoweroff": "stay", "vnc": {"enabled": False}},
        "web": {
            "replicas": 3,
            "image": {"source": "https://images.example/web.qcow2.zst"},
            "service": {"ports": {"http": 80}},
            "podDisruptionBudget": {"enabled": True},
        },
        "win": {
            "vm": {"cpus": 4},
            "configDrive": {"bus": "sata"},
            "qemuArgs": ["-device", "usb-ehci"],
        },
    },
}

EVERYTHING: dict[str, Any] = {
    "className": "fast",
    "sshKey": f"{KEY}\n# and at work\n{KEY.replace('home', 'work')}\n",
    "image": {
        "source": "https://images.example/windows.qcow2",
        "checksum": f"sha256:{'0' * 64}",
        "target": "windows.qcow2",
        "verify": "full",
        "credentialsSecret": "images",
        "caConfigMap": "authorities",
    },
    "vm": {"cpus": 300 // 2, "memory": "1Ti", "diskSize": "100Gi"},
    "replicas": 2,
    "onPoweroff": "stay",
    "onCrash": "stay",
    "stopTimeout": 86400,
    "qemuArgs": ["-device", "usb-ehci"],
    "userdata": "#cloud-config\npassword: secret\n",
    "userdataIn": "Secret",
    "userdataFrom": {"key": "user-data"},
    "metadata": {"hostname": "pet", "own": {"deep": [1, 2]}},
    "metadataFrom": {"key": "meta-data"},
    "configDrive": {"type": "nocloud", "bus": "scsi"},
    "vnc": {"existingSecret": "screen"},
    "service": {
        "ports": {
            "dns": {"port": 53, "protocol": "UDP", "nodePort": 30053},
            "ssh": 22,
            "web": {"port": 443, "targetPort": 8443, "appProtocol": "https"},
        },
        "type": "LoadBalancer",
        "annotations": {"example.org/balancer": "internal"},
        "spec": {"externalTrafficPolicy": "Local"},
    },
    "network": {
        "mode": "nat",
        "podPorts": ["tcp/9180", "udp/53"],
        "vmIP": "10.0.0.2",
        "vmGateway": "10.0.0.1",
        "dhcp": False,
        "natBackend": "iptables",
    },
    "shared": {
        "accessMode": "ReadWriteMany",
        "size": "1.5Ti",
        "className": "-",
        "annotations": {"example.org/backup": "no"},
    },
    "pet": {
        "size": "120Gi",
        "accessMode": "ReadWriteOncePod",
        "className": "faster",
        "whenDeleted": "Delete",
        "whenScaled": "Delete",
    },
    "extraDisks": {"data": {"size": "1Ti", "className": "slow"}, "log": {"size": "5Gi"}},
    "kvm": "devices.kubevirt.io/kvm",
    "securityLevel": "standard",
    "capabilities": ["NET_ADMIN"],
    "podSecurityContext": {"fsGroup": 1000, "supplementalGroups": [36]},
    "securityContext": {"seccompProfile": {"type": "Unconfined"}},
    "launcher": {
        "image": {
            "repository": "registry.example/berth",
            "tag": "ours",
            "digest": f"sha256:{'a' * 64}",
            "pullPolicy": "Always",
        }
    },
    "imagePullSecrets": [{"name": "registry"}],
    "log": {"level": "debug", "format": "json"},
    "serviceAccount": {"name": "vms", "annotations": {"example.org/role": "none"}},
    "resources": {
        "requests": {"cpu": 2},
        "limits": {"cpu": "150", "hugepages-2Mi": "1Ti", "smarter-devices/vhost-net": 1},
    },
    "probes": {
        "startup": {"timeout": 7200},
        "readiness": {"agent": True, "period": 3},
        "liveness": {"period": 60},
    },
    "updateStrategy": "OnDelete",
    "nodeSelector": {"disks": "many"},
    "affinity": {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 1,
                    "preference": {"matchExpressions": [{"key": "cpu", "operator": "Exists"}]},
                }
            ]
        }
    },
    "tolerations": [{"key": "vms", "operator": "Exists"}],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"berth/vm": "web"}},
        }
    ],
    "priorityClassName": "vms",
    "runtimeClassName": "runc",
    "schedulerName": "fair",
    "hostAliases": [{"ip": "10.1.1.1", "hostnames": ["images.example"]}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.10"], "searches": ["example.org"]},
    "labels": {"team": "blue"},
    "annotations": {"example.org/owner": "blue"},
    "podLabels": {"tier": "back"},
    "podAnnotations": {"example.org/scrape": "no"},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
    "extraVolumes": [{"name": "isos", "persistentVolumeClaim": {"claimName": "isos"}}],
    "extraVolumeMounts": [{"name": "isos", "mountPath": "/volumes", "readOnly": True}],
    "extraContainers": [{"name": "exporter", "image": "registry.example/exporter:1"}],
    "extraInitContainers": [{"name": "wait", "image": "registry.example/wait:1"}],
    "podDisruptionBudget": {"enabled": True, "minAvailable": "50%"},
    "networkPolicy": {
        "enabled": True,
        "ingress": [{"from": [{"podSelector": {}}]}],
        "vncFrom": [{"namespaceSelector": {"matchLabels": {"admins": "yes"}}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
    },
    "testPort": 3389,
    "testTimeout": 3600,
    "fullnameOverride": "pets",
}

# What cannot be together with the one above.
OBJECTS_OF_ONES_OWN: dict[str, Any] = {
    "userdataFrom": {"secret": "mine", "key": "user-data"},
    "metadataFrom": {"configMap": "mine"},
    "shared": {"existingClaim": "images"},
    "serviceAccount": {"create": False},
    "podDisruptionBudget": {"enabled": True, "maxUnavailable": 0},
    "networkPolicy": {"enabled": True},
    "probes": {"readiness": {"enabled": False}, "liveness": {"enabled": False}},
    "vms": {
        "flatcar": {
            "configDrive": {"type": "ignition"},
            "extraDisks": {
                "old": {"claimName": "old"},
                "older": {"claimName": "older", "file": "disk.img"},
            },
        },
        "fedora": {
            "userdataFrom": {"secret": "", "configMap": "mine"},
            "metadataFrom": {"configMap": "", "secret": "mine"},
            "network": {"mode": "user", "hostfwd": ["tcp::2222-:22", "udp::53-:53"]},
        },
    },
}

SCENARIOS: dict[str, dict[str, Any]] = {
    "default": DEFAULT,
    "restricted": RESTRICTED,
    "privileged": PRIVILEGED,
    "one-volume": ONE_VOLUME,
    "several": SEVERAL,
    "everything": EVERYTHING,
    "objects-of-ones-own": OBJECTS_OF_ONES_OWN,
}
