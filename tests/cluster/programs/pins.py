"""Which module holds which program, and how it wants to be built."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Module:
    """A folder with a go.mod whose `tool` lines name the programs.

    `main` is the required module whose version is the programs'; `minutes` is what building takes
    on two cores, downloads included; `renamed` maps what a program is called to what Go calls it.
    """

    name: str
    title: str
    main: str
    minutes: int
    programs: tuple[str, ...]
    stamps: Callable[["Module"], Mapping[str, str]] = lambda module: {}
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def version(self) -> str:
        return self.required(self.main)

    def required(self, path: str) -> str:
        """The version of a Go module that go.mod asks for, such as v1.34.4."""
        text = (self.folder / "go.mod").read_text("utf-8")
        found = re.search(rf"^\s*(?:require )?{re.escape(path)} (v\S+)", text, re.MULTILINE)
        if found is None:
            raise LookupError(f"{self.folder / 'go.mod'} does not require {path}")
        return found[1]

    @property
    def ldflags(self) -> str:
        """Without symbol tables, which are half of each file, and with version stamps."""
        stamps = (f"-X {variable}={value}" for variable, value in self.stamps(self).items())
        return " ".join(["-s -w", *stamps])

    @property
    def key(self) -> str:
        """Hash of all that decides what comes out, as 16 hex digits.

        Not of Go's own version: any that is new enough for go.mod builds the same program, and a
        cache that was filled elsewhere is then good without any Go.
        """
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update((self.folder / name).read_bytes())
        digest.update(self.ldflags.encode())
        return digest.hexdigest()[:16]


def _kubernetes(module: Module) -> dict[str, str]:
    # What its own build sets (hack/lib/version.sh). Otherwise a node reports
    # `v0.0.0-master+$Format:%H$`, which no comparison of versions in a chart understands.
    major, minor, _ = module.version.removeprefix("v").split(".", 2)
    return {
        f"{package}.{variable}": value
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for variable, value in {
            "gitVersion": module.version,
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
        }.items()
    }


def _containerd(module: Module) -> dict[str, str]:
    return {"github.com/containerd/containerd/v2/version.Version": module.version}


def _helm(module: Module) -> dict[str, str]:
    return {
        f"{module.main}/internal/version.version": module.version,
        f"{module.main}/internal/version.gitTreeState": "clean",
    }


def _helm3(module: Module) -> dict[str, str]:
    # Its Makefile: `helm template` takes the version of Kubernetes from here. client-go's v0.29
    # belongs to Kubernetes 1.29.
    minor = module.required("k8s.io/client-go").split(".")[1]
    return _helm(module) | {
        f"{module.main}/pkg/{package}.k8sVersion{part}": value
        for package in ("lint/rules", "chartutil")
        for part, value in {"Major": "1", "Minor": minor}.items()
    }


MODULES = (
    Module(
        "kubernetes",
        "Kubernetes and etcd",
        "k8s.io/kubernetes",
        5,
        (
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        ),
        _kubernetes,
        {"etcd": "server"},
    ),
    Module(
        "containerd",
        "containerd",
        "github.com/containerd/containerd/v2",
        1,
        ("containerd", "containerd-shim-runc-v2", "ctr"),
        _containerd,
    ),
    Module("coredns", "CoreDNS", "github.com/coredns/coredns", 2, ("coredns",)),
    Module("helm", "Helm", "helm.sh/helm/v4", 1, ("helm",), _helm),
    Module("helm3", "Helm 3", "helm.sh/helm/v3", 1, ("helm3",), _helm3, {"helm3": "helm"}),
)

PROGRAMS: dict[str, Module] = {program: module for module in MODULES for program in module.programs}
