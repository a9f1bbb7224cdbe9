"""`python -m tests.demo up | down`."""

import shlex
import shutil
import sys
import time
from pathlib import Path

from tests.cluster.kubernetes import cluster
from tests.cluster.kubernetes.cluster import DEFAULT
from tests.cluster.kubernetes.errors import ClusterError
from tests.cluster.programs.build import BuildError
from tests.containers import image
from tests.demo import release
from tests.demo.place import POD, RELEASE, Place, place
from tests.guests.commands import CommandError, MissingPackagesError

USAGE = "./dev demo [up | down]"

READY = """
A VM runs in the pod {pod} of a Kubernetes on this machine, at {address}; ssh after {seconds:.1f} s.

  log in    {ssh}
  console   ./dev cluster kubectl exec -it {pod} -- berth console     (^] leaves it)
  screen    a VNC viewer at {address}:5900, with the password of
            ./dev cluster kubectl get secret {release}-vnc \\
              -o jsonpath='{{.data.password}}' | base64 -d
  its boot  ./dev cluster kubectl logs {pod}
  three     ./dev cluster helm upgrade {release} {chart} --reuse-values --set replicas=3
  again     ./dev cluster kubectl delete pod {pod}     (its disk stays, its address may not:
            ./dev cluster kubectl get pods -o wide)
  test it   ./dev cluster helm test {release}
  end it    ./dev demo down
"""


def up(here: Place) -> None:
    say("a Kubernetes with two nodes")
    if cluster.find(DEFAULT) is None:
        # Host keys of VMs that are gone, which may have had the same addresses.
        shutil.rmtree(here.folder, ignore_errors=True)
        here.folder.mkdir(parents=True)
        here.made_cluster.touch()
    ours = cluster.up(DEFAULT)
    environment = ours.environment()
    if release.is_installed(environment):
        sys.exit("the demo's VM runs already; `./dev demo down` ends it")
    say("Berth's container image")
    ours.load(image.archive())
    say("a guest of a few MiB")
    here.folder.mkdir(parents=True, exist_ok=True)
    release.write_values(here, ours)
    say(f"$ {shlex.join(shorter(word) for word in release.install_command(here))}")
    begun = time.monotonic()
    release.install(here, environment)
    address = release.wait_for_ssh(environment)
    print(
        READY.format(
            pod=POD,
            release=RELEASE,
            address=address,
            seconds=time.monotonic() - begun,
            ssh=in_lines([shorter(word) for word in here.ssh(address)]),
            chart=shorter(str(release.CHART)),
        )
    )


def down(here: Place) -> None:
    ours = cluster.find(DEFAULT)
    if ours is not None and not here.made_cluster.exists():
        release.remove(ours.environment())
        say("the demo's VM and its disk are gone; ./dev cluster down ends the Kubernetes")
    else:
        cluster.down(DEFAULT)
        say("the demo's Kubernetes is gone, with the VM and its disk")
    shutil.rmtree(here.folder, ignore_errors=True)


def say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


def shorter(word: str) -> str:
    """Paths below the folder one is in, as one would type them."""
    path = Path(word)
    ours = path.is_absolute() and path.is_relative_to(Path.cwd())
    return f"./{path.relative_to(Path.cwd())}" if ours else word


def in_lines(argv: list[str]) -> str:
    """A command to copy, its options on lines of their own below the demo's other lines."""
    lines = [argv[:3], *(argv[at : at + 2] for at in range(3, len(argv), 2))]
    return " \\\n              ".join(shlex.join(line) for line in lines)


def main(words: list[str]) -> int:
    try:
        match words:
            case [] | ["up"]:
                up(place())
            case ["down"]:
                down(place())
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except (BuildError, ClusterError, CommandError, MissingPackagesError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
