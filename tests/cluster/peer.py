"""A pod beside the VMs: something for them to reach, and somebody who reaches them.

It runs Python in Berth's own image, the one that every cluster has to have anyway.
"""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster import talk
from tests.cluster.namespaces import Namespace
from tests.pods import ssh
from tests.pods.ssh import Client

# It answers there, by TCP and UDP.
PORT = 8080


class Peer(NamedTuple):
    """`name` is the pod's, and that of the Service before it."""

    namespace: Namespace
    name: str
    address: str

    def hear(self, host: str, port: int) -> str:
        """All that is said at a TCP port."""
        return self._talk("hear", host, str(port))

    def echo(self, host: str, port: int, data: str) -> str:
        """Send a datagram; returns the answer to it."""
        return self._talk("echo", host, str(port), stdin=data)

    def ssh(self, client: Client, command: str) -> str:
        """What a command in a guest writes to stdout, by a connection that this pod opens; the
        client's address may be a name then. The keys stay on this machine."""
        target = self.namespace.target
        kubeconfig = f"--kubeconfig={target.environment['KUBECONFIG']}"
        exec_ = (kubeconfig, "-n", self.namespace.name, "exec", "-i", self.name, "--")
        wire = shlex.join(target.argv("kubectl", *exec_, *COMMAND, "relay"))
        words = client.argv(command)
        words[1:1] = ["-o", f"ProxyCommand={wire} %h %p"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=ssh.PATIENCE)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.removesuffix("\n")

    def _talk(self, *words: str, stdin: str = "") -> str:
        return self.namespace.kubectl("exec", "-i", self.name, "--", *COMMAND, *words, stdin=stdin)


COMMAND = ("python3", "/peer/talk.py")


def start(namespace: Namespace, name: str, image: str, node: str) -> Peer:
    """Start the pod on a node, with a Service of its name before it, and wait until it answers."""
    objects = [_script(name), _service(name), _pod(name, image, node)]
    namespace.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    namespace.wait(f"pod/{name}", "condition=Ready")
    return Peer(namespace, name, namespace.get(f"pod/{name}", ".status.podIP"))


def _script(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"talk.py": Path(os.fspath(talk.__file__)).read_text("utf-8")},
    }


def _service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"peer": name}, "ports": [{"port": 80, "targetPort": PORT}]},
    }


def _pod(name: str, image: str, node: str) -> dict[str, Any]:
    container = {
        "name": "peer",
        "image": image,
        "command": [*COMMAND, "serve", str(PORT)],
        "volumeMounts": [{"name": "script", "mountPath": "/peer"}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"peer": name}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [{"name": "script", "configMap": {"name": name}}],
        },
    }
