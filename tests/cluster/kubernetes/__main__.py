"""``python -m tests.cluster.kubernetes up | down | status [NAME]``, and kubectl and helm on it."""

import os
import sys
from pathlib import Path

from tests.cluster import programs
from tests.cluster.kubernetes import cluster, place
from tests.cluster.kubernetes.cluster import DEFAULT, Cluster
from tests.cluster.kubernetes.errors import ClusterError
from tests.cluster.programs.build import BuildError

USAGE = """\
./dev cluster [up | down | status] [NAME]
./dev cluster [kubectl | helm] ARGUMENT..."""

READY = """
Two nodes: node0, and node1 whose pods have a /32 and the gateway 169.254.1.1, as Calico's have.
Pods' addresses lead there from this machine; {www} is served at {url}

  use it    export KUBECONFIG={kubeconfig}
            ./dev cluster kubectl get nodes        ./dev cluster helm list
  or put    {bin}
            into PATH
  logs      {logs}
  end it    ./dev cluster down{name}
"""


def up(name: str) -> None:
    here = cluster.find(name)
    if here and not here.missing():
        say(f"the cluster {name} runs already; `./dev cluster down` ends it")
    else:
        if here:
            say(f"of the cluster {name} there is no {', '.join(sorted(here.missing()))}: made anew")
        elif name in place.existing():
            say(f"the cluster {name} was left half made: made anew")
        say(f"starting a Kubernetes with two nodes, {name}")
        here = cluster.up(name)
    paths = [str(programs.find(program).parent) for program in ("helm", "kubectl")]
    print(
        READY.format(
            www=here.www,
            url=here.url(""),
            kubeconfig=here.kubeconfig,
            bin=":".join(paths),
            logs=here.place.logs,
            name="" if name == DEFAULT else f" {name}",
        )
    )


def down(name: str) -> None:
    cluster.down(name)
    say(f"the cluster {name} is gone, with all that was in it")


def status() -> int:
    """One line for each cluster; 0 if there is one and all are well."""
    states = {name: Cluster(found).missing() for name, found in place.existing().items()}
    for name, missing in states.items():
        print(f"{name}: {'no ' + ', '.join(sorted(missing)) if missing else 'well'}")
    if not states:
        print("no cluster (./dev cluster up)")
    return 0 if states and not any(states.values()) else 1


def become(program: str, arguments: list[str]) -> None:
    """Go on as kubectl or helm, on the one of these clusters that KUBECONFIG names, or the default.

    Never on another one: it would be a surprise.
    """
    config = Path(os.environ.get("KUBECONFIG", ""))
    if not config.is_relative_to(place.ROOT):
        config = place.Place(DEFAULT, 0).kubeconfig
    if not config.exists():
        raise ClusterError(f"there is no {config}; `./dev cluster up` makes the cluster")
    environment = {**os.environ, "KUBECONFIG": str(config)}
    os.execve(programs.find(program), [program, *arguments], environment)


def say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


def main(words: list[str]) -> int:
    try:
        match words:
            case ["up", *names] if len(names) <= 1:
                up(*(names or [DEFAULT]))
            case ["down", *names] if len(names) <= 1:
                down(*(names or [DEFAULT]))
            case ["status"]:
                return status()
            case ["kubectl" | "helm" as program, *arguments]:
                become(program, arguments)
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except (ClusterError, BuildError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
