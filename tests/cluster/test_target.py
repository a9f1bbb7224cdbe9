"""The tests themselves, on a cluster that somebody else made."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import test_install
from tests.cluster.target import GUESTS, IMAGE, Target, target
from tests.guests import tiny

CHECKOUT = Path(__file__).parents[2]
# They boot a VM and look at its claims by kubectl, and at its ports by the `helm` that is printed.
TESTS = (
    test_install.test_the_claims_have_the_class,
    test_install.test_helm_test_reaches_a_good_vm,
)


def test_they_run_on_any_cluster_that_kubeconfig_names(
    cluster: Target, image: str, tmp_path: Path
) -> None:
    if cluster.own is None:
        pytest.skip("KUBECONFIG names a cluster that is not ours to test")
    # Elsewhere, nothing tells that it is ours.
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.touch(0o600)
    kubeconfig.write_bytes(cluster.own.kubeconfig.read_bytes())
    # As docs/developing.md says that they have to be served.
    digest = hashlib.sha256(tiny.image().read_bytes()).hexdigest()
    cluster.own.publish(tiny.image(), "elsewhere/tiny/tiny.qcow2")
    cluster.own.write("elsewhere/tiny/SHA256SUMS", f"{digest}  tiny.qcow2\n".encode())
    theirs = {
        "KUBECONFIG": os.fspath(kubeconfig),
        IMAGE: image,
        GUESTS: cluster.own.url("elsewhere"),
    }
    names = [f"{test_install.__file__}::{test.__name__}" for test in TESTS]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--basetemp={tmp_path / 'inner'}", *names],
        cwd=CHECKOUT,
        env={**os.environ, **theirs},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{len(TESTS)} passed in ", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, f"no {IMAGE}, no {GUESTS}"), ({GUESTS: "http://192.0.2.1"}, f"no {IMAGE}")],
)
def test_what_such_a_cluster_needs_is_told(
    given: dict[str, str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/me/.kube/config")
    for name in (IMAGE, GUESTS):
        monkeypatch.setenv(name, given.get(name, ""))
    told = f"KUBECONFIG=/home/me/.kube/config and {missing}: see docs/developing.md"
    with pytest.raises(LookupError, match=f"^{re.escape(told)}$"), target():
        pass
