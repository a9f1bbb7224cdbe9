"""Who may do what: certificates, tokens, and the kubeconfigs that hold them."""

import json
import os
import secrets
import subprocess
from base64 import b64encode
from pathlib import Path

from tests.cluster.kubernetes.place import API_SERVICE, DOMAIN, Place

# Kubernetes' own words for its parts, which its built-in roles are bound to.
ADMIN = "admin"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
PROXY = "system:kube-proxy"
DNS = "system:coredns"
VOLUMES = "system:volumes"

# openssl wants one, and adds what this machine's says otherwise.
OPENSSL_CONFIG = "[req]\ndistinguished_name=name\n[name]\n"
DAYS = "3650"


def node_user(node: str) -> str:
    """What the authorizer for nodes expects, which lets each see what its own pods need."""
    return f"system:node:{node}"


def make(place: Place) -> None:
    """Write all of it into the cluster's folder."""
    place.pki.mkdir(mode=0o700)
    (place.pki / "openssl.cnf").write_text(OPENSSL_CONFIG)
    _certificate(
        place,
        "ca",
        f"/CN=berth-{place.name}",
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    names += [f"kubernetes.default.svc.{DOMAIN}", "localhost"]
    alternatives = [*(f"DNS:{name}" for name in names), f"IP:{place.host}", f"IP:{API_SERVICE}"]
    _signed(place, "apiserver", "/CN=kube-apiserver", "serverAuth", ",".join(alternatives))
    _signed(place, "kubelet-client", "/O=system:masters/CN=kube-apiserver", "clientAuth")
    _key(place.pki / "service-accounts.key")
    _tokens(place)


def kubeconfig(place: Place, user: str) -> Path:
    """The file by which one of the parts finds the API server and is known to it."""
    return place.pki / f"{user.replace(':', '-')}.kubeconfig"


def _tokens(place: Place) -> None:
    groups = {ADMIN: "system:masters"}
    groups |= dict.fromkeys((CONTROLLER_MANAGER, SCHEDULER, PROXY, DNS, VOLUMES), "")
    groups |= {node_user(node.name): "system:nodes" for node in place.nodes}
    lines = []
    for user, group in groups.items():
        token = secrets.token_urlsafe(24)
        lines.append(f'{token},{user},{user},"{group}"\n')
        kubeconfig(place, user).write_text(_config(place, user, token))
    (place.pki / "tokens.csv").write_text("".join(lines))
    place.kubeconfig.touch(mode=0o600)
    place.kubeconfig.write_text(kubeconfig(place, ADMIN).read_text())
    # Whoever called sudo wants to use it as well.
    if caller := os.environ.get("SUDO_UID"):
        os.chown(place.kubeconfig, int(caller), -1)


def _config(place: Place, user: str, token: str) -> str:
    """As JSON, which is YAML too."""
    authority = b64encode((place.pki / "ca.crt").read_bytes()).decode()
    server = {"server": f"https://{place.host}:6443", "certificate-authority-data": authority}
    name = f"berth-{place.name}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    return json.dumps(config, indent=1) + "\n"


def _signed(place: Place, name: str, subject: str, usage: str, alternatives: str = "") -> None:
    extensions = [f"extendedKeyUsage={usage}"]
    if alternatives:
        extensions.append(f"subjectAltName={alternatives}")
    authority: list[str | Path] = ["-CA", place.pki / "ca.crt", "-CAkey", place.pki / "ca.key"]
    _certificate(place, name, subject, *extensions, authority=authority)


def _certificate(
    place: Place,
    name: str,
    subject: str,
    *extensions: str,
    authority: list[str | Path] | None = None,
) -> None:
    key = place.pki / f"{name}.key"
    _key(key)
    argv: list[str | Path] = [
        "openssl",
        "req",
        "-x509",
        "-config",
        place.pki / "openssl.cnf",
        "-days",
        DAYS,
    ]
    argv += ["-subj", subject, "-key", key, "-out", place.pki / f"{name}.crt", *(authority or [])]
    for extension in extensions:
        argv += ["-addext", extension]
    subprocess.run(argv, check=True, capture_output=True)


def _key(path: Path) -> None:
    make: list[str | Path] = [
        "openssl",
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        path,
    ]
    subprocess.run(make, check=True)
