"""An image on a server that asks who is there, and shows a certificate of a house of its own."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cluster.conftest import Installer
from tests.cluster.namespaces import Namespace
from tests.cluster.release import Values
from tests.cluster.target import Target
from tests.guests import tiny
from tests.storage import http_server, tls
from tests.storage.http_server import Reply, Request

# What each key of the Secret makes a request say, by the key.
SECRETS = {
    "headers": ("Authorization: Bearer geheim-7c1e\n", "Bearer geheim-7c1e"),
    "netrc": ("machine {host} login vm password geheim-7c1e\n", "Basic dm06Z2VoZWltLTdjMWU="),
}


@dataclass
class Guarded:
    """The tiny guest, for those who say `secret`; `refused`: how often somebody did not."""

    source: str = ""
    authority: str = ""
    host: str = ""
    secret: str = ""
    refused: int = 0
    image: bytes = field(default_factory=lambda: tiny.image().read_bytes())

    def __call__(self, request: Request) -> Reply:
        if request.headers.get("Authorization") == self.secret:
            return Reply(self.image)
        self.refused += 1
        return Reply(status=401)


@pytest.fixture
def guarded(cluster: Target, tmp_path: Path) -> Iterator[Guarded]:
    if cluster.own is None:
        pytest.skip("somebody else's cluster may not reach a server on this machine")
    host = cluster.own.host
    certificate = tls.make(tmp_path, host)
    with http_server.running(certificate.context(), host) as server:
        made = Guarded(server.url("/tiny.qcow2"), certificate.path.read_text("utf-8"), host)
        server.replies["/tiny.qcow2"] = made
        yield made


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_and_an_authority_from_the_cluster(
    installed: Installer, namespace: Namespace, guarded: Guarded, tmp_path: Path, name: str
) -> None:
    text, guarded.secret = SECRETS[name]
    (tmp_path / name).write_text(text.format(host=guarded.host), "utf-8")
    (tmp_path / "ca.crt").write_text(guarded.authority, "utf-8")
    namespace.kubectl("create", "secret", "generic", "who", f"--from-file={tmp_path}/{name}")
    namespace.kubectl("create", "configmap", "house", f"--from-file={tmp_path}/ca.crt")
    names = {"credentialsSecret": "who", "caConfigMap": "house"}
    image: Values = {"source": guarded.source, "checksum": "", **names}
    vm = installed("vm", {"stopTimeout": 2, "image": image})
    vm.wait_for_log("vm-0 is running")
    assert guarded.refused == 0
    # In its Secret, and nowhere else.
    assert "geheim" not in vm.logs() + namespace.kubectl("get", "pods,statefulsets", "-o", "yaml")
