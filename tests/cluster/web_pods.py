"""A pod on each node that says its name by HTTP and has claims of every kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cluster.kubernetes.cluster import Cluster
from tests.cluster.kubernetes.tools_image import TOOLS
from tests.cluster.namespaces import Namespace, namespace
from tests.cluster.target import Target

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{app: web}}
spec:
  hostname: {name}
  subdomain: web
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  terminationGracePeriodSeconds: 0
  securityContext: {{runAsUser: {user}, runAsGroup: {user}, fsGroup: 107}}
  containers:
    - name: web
      image: {image}
      command: [sh, -ec, "mkdir /tmp/www; hostname >/tmp/www/name; httpd -f -p 8080 -h /tmp/www"]
      readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
      volumeMounts:
        - {{name: shared, mountPath: /shared}}
        - {{name: own, mountPath: /own}}
  volumes:
    - {{name: shared, persistentVolumeClaim: {{claimName: shared}}}}
    - {{name: own, persistentVolumeClaim: {{claimName: own-{name}}}}}
---
"""
CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec:
  storageClassName: {storage}
  accessModes: [{mode}]
  resources: {{requests: {{storage: 1Gi}}}}
---
"""
SERVICES = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
# Root on the one, the user that a restricted pod may be on the other.
USERS = {"node0": 107, "node1": 0}
NODES = tuple(USERS)


def pod_name(node: str) -> str:
    return f"on-{node}"


def pod(node: str, name: str = "") -> str:
    name = name or pod_name(node)
    return POD.format(name=name, node=node, image=TOOLS, user=USERS[node])


@dataclass(frozen=True)
class Pods:
    """A pod on each node."""

    namespace: Namespace
    cluster: Cluster

    def run(self, node: str, *command: str) -> str:
        return self.namespace.kubectl("exec", pod_name(node), "--", *command)

    def address(self, node: str) -> str:
        return self.namespace.get(f"pod/{pod_name(node)}", ".status.podIP")


@contextmanager
def pods(own: Cluster, target: Target) -> Iterator[Pods]:
    """Start them in a namespace of their own, and wait until they serve."""
    with namespace(target) as made:
        claims = [CLAIM.format(name="shared", storage="standard", mode="ReadWriteMany")]
        for node, storage in zip(NODES, ("standard", "late"), strict=True):
            name = f"own-{pod_name(node)}"
            claims.append(CLAIM.format(name=name, storage=storage, mode="ReadWriteOnce"))
        made.apply("".join([*claims, *map(pod, NODES), SERVICES]))
        for node in NODES:
            made.wait(f"pod/{pod_name(node)}", "condition=Ready")
        yield Pods(made, own)
