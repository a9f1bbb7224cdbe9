"""Container images into a node's store."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.kubernetes.errors import ClusterError
from tests.cluster.programs import find

# kubelet's namespace in containerd.
NAMESPACE = "k8s.io"


def load(enter: Sequence[str], archive: Path) -> None:
    """Load a docker-archive or an OCI archive into the node that `enter` leads to.

    :raise ClusterError: when containerd does not take it.
    """
    ctr: list[str | Path] = [find("ctr"), "--namespace", NAMESPACE, "images", "import", "-"]
    with archive.open("rb") as file:
        done = subprocess.run([*enter, *ctr], stdin=file, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"containerd does not take {archive}:\n{done.stderr}")
