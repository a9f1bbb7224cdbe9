"""The oldest Helm that is promised installs, upgrades and uninstalls on a real cluster."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import programs
from tests.cluster.namespaces import Namespace
from tests.cluster.release import BOOT_PATIENCE, CHART, Defaults, Release

Helm = Callable[..., str]


@pytest.fixture
def helm3(namespace: Namespace) -> Helm:
    def run(*words: str) -> str:
        done = subprocess.run(
            [programs.find("helm3"), "-n", namespace.name, *words],
            env=namespace.target.environment,
            capture_output=True,
            text=True,
            timeout=BOOT_PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_install_upgrade_rollback_uninstall(
    helm3: Helm, namespace: Namespace, defaults: Defaults, tmp_path: Path
) -> None:
    values = tmp_path / "values.json"
    values.write_text(json.dumps(defaults.small), "utf-8")
    vm = Release(namespace, "vm", defaults)
    arguments = ("vm", str(CHART), f"--values={values}")
    assert "STATUS: deployed" in helm3("install", *arguments)
    boot = vm.wait_for_ssh().run("cat /proc/sys/kernel/random/boot_id")
    password = namespace.get("secret/vm-vnc", ".data.password")

    # It finds what is there: the password in the Secret, the claims in the StatefulSet.
    helm3("upgrade", *arguments, "--set", "service.ports.ssh=22")
    namespace.kubectl("get", "service/vm-ports")
    helm3("rollback", "vm", "1")
    assert vm.ssh("cat /proc/sys/kernel/random/boot_id") == boot.decode().strip()
    assert namespace.get("secret/vm-vnc", ".data.password") == password

    helm3("test", "vm")
    assert "[PersistentVolumeClaim] vm-shared" in helm3("uninstall", "vm", "--wait")
    assert namespace.kubectl(
        "get", "statefulset,service,secret,configmap", "-o", "name"
    ).split() == ["configmap/kube-root-ca.crt"]
