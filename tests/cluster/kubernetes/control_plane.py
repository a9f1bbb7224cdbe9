"""The parts of Kubernetes that are there once, as processes of this machine."""

import subprocess
import sys
from pathlib import Path

from tests.cluster.kubernetes import credentials, processes
from tests.cluster.kubernetes.errors import ClusterError, wait_for
from tests.cluster.kubernetes.objects import OBJECTS
from tests.cluster.kubernetes.place import DNS_SERVICE, DOMAIN, GATES, SERVICES, Place
from tests.cluster.programs import find

CHECKOUT = Path(__file__).parents[3]
WWW_PORT = 8000

# A socket in etcd's folder: no port that two clusters could want, and nobody else can read it.
# etcd takes the part up to the slash as the name of a file in the current folder.
ETCD, ETCD_PEER = "unix://clients:0", "unix://peers:0"


def start_api(place: Place) -> None:
    """Start etcd and the API server, and wait until it is ready."""
    etcd = place.folder / "etcd"
    etcd.mkdir(mode=0o700)
    here = ["env", f"--chdir={etcd}"]
    _start(
        place,
        "etcd",
        *here,
        find("etcd"),
        f"--data-dir={etcd / 'data'}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls={ETCD_PEER}",
        f"--initial-advertise-peer-urls={ETCD_PEER}",
        f"--initial-cluster=default={ETCD_PEER}",
        # Nothing here survives this machine.
        "--unsafe-no-fsync",
    )
    pki = place.pki
    pid = _start(
        place,
        "kube-apiserver",
        *here,
        find("kube-apiserver"),
        f"--etcd-servers={ETCD}",
        f"--advertise-address={place.host}",
        f"--bind-address={place.host}",
        "--secure-port=6443",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--token-auth-file={pki / 'tokens.csv'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-key-file={pki / 'service-accounts.key'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        f"--service-cluster-ip-range={SERVICES}",
        # What a pod may be, Pod Security admission says.
        "--allow-privileged=true",
        f"--feature-gates={','.join(f'{name}=true' for name in GATES)}",
    )

    def ready() -> bool:
        if processes.has_ended(pid):
            raise ClusterError("kube-apiserver ended")
        return kubectl(place, "get", "--raw", "/readyz").returncode == 0

    wait_for("the API server is ready", ready, 120, pause=0.2)


def start_rest(place: Place) -> None:
    """Start what works through the API server."""
    kubectl(
        place, "create", "--validate=false", "-f", "-", stdin=_objects(place)
    ).check_returncode()
    _start(
        place,
        "kube-controller-manager",
        find("kube-controller-manager"),
        f"--kubeconfig={credentials.kubeconfig(place, credentials.CONTROLLER_MANAGER)}",
        f"--service-account-private-key-file={place.pki / 'service-accounts.key'}",
        f"--root-ca-file={place.pki / 'ca.crt'}",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=false",
        # Of each there is one, and of clusters there may be several.
        "--leader-elect=false",
        "--secure-port=0",
    )
    _start(
        place,
        "kube-scheduler",
        find("kube-scheduler"),
        f"--kubeconfig={credentials.kubeconfig(place, credentials.SCHEDULER)}",
        "--leader-elect=false",
        "--secure-port=0",
        # Now and then it misses that a claim was bound while it looked at the pod, which would then
        # wait for five minutes.
        "--pod-max-in-unschedulable-pods-duration=10s",
    )
    start_dns(place)
    place.volumes.mkdir(mode=0o711)
    _start(
        place,
        "volumes",
        sys.executable,
        "-m",
        "tests.cluster.kubernetes.volumes",
        credentials.kubeconfig(place, credentials.VOLUMES),
        place.volumes,
        environment={"PYTHONPATH": str(CHECKOUT)},
    )


def start_www(place: Place) -> None:
    """Serve a folder to everything that reaches this machine's address on the bridge."""
    place.www.mkdir()
    serve: list[str | Path] = [
        sys.executable,
        "-m",
        "http.server",
        "--bind",
        place.host,
        "--directory",
        place.www,
    ]
    _start(place, "www", *serve, str(WWW_PORT))


def start_dns(place: Place) -> None:
    """Start CoreDNS; what it does not know, it asks those that this machine asks, if any."""
    resolver = Path("/etc/resolv.conf")
    text = resolver.read_text() if resolver.exists() else ""
    upstream = any(line.split()[:1] == ["nameserver"] for line in text.splitlines())
    corefile = place.folder / "Corefile"
    corefile.write_text(
        f""".:53 {{
    bind {place.host}
    errors
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {credentials.kubeconfig(place, credentials.DNS)}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }}
    {f"forward . {resolver}" if upstream else ""}
}}
"""
    )
    _start(place, "coredns", find("coredns"), "-conf", corefile)


def kubectl(place: Place, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run kubectl as the administrator."""
    argv: list[str | Path] = [find("kubectl"), f"--kubeconfig={place.kubeconfig}", *arguments]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True)


def _objects(place: Place) -> str:
    text = OBJECTS
    for word, value in {"HOST": place.host, "DNS_SERVICE": DNS_SERVICE}.items():
        text = text.replace(f"${word}", value)
    return text


def _start(
    place: Place, role: str, *argv: str | Path, environment: dict[str, str] | None = None
) -> int:
    return processes.start(place.folder, role, argv, place.logs / f"{role}.log", environment)
