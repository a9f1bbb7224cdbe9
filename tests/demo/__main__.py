"""`python -m tests.demo up | down | console`."""

import sys

from tests.demo import vm
from tests.demo.place import HOST_ADDRESS, POD_ADDRESS, Place, place
from tests.guests import tiny

USAGE = "./dev demo [up | down | console]"

READY = """
A VM runs at {address}, an address that leads to it on every port; ssh after {seconds:.1f} s.

  log in    {ssh}
  console   ./dev demo console     (^] leaves it)
  screen    a VNC viewer at {address}:5900
  its log   {log}
  end it    ./dev demo down
"""


def up(here: Place) -> None:
    if vm.running(here):
        sys.exit("the demo's VM runs already; `./dev demo down` ends it")
    image = tiny.image()
    vm.remove_pod(here)
    vm.make_files(here)
    vm.make_pod(here)
    print(f"== starting a VM in a network namespace, behind {HOST_ADDRESS}", file=sys.stderr)
    seconds = vm.start(here, image)
    ssh = vm.shown(here.ssh())
    print(READY.format(address=POD_ADDRESS, seconds=seconds, ssh=ssh, log=here.log))


def down(here: Place) -> None:
    vm.stop(here)
    vm.remove_pod(here)
    vm.remove_files(here)
    print("the demo's VM, its namespace and its disk are gone", file=sys.stderr)


def main(words: list[str]) -> int:
    match words:
        case [] | ["up"]:
            up(place())
        case ["down"]:
            down(place())
        case ["console"]:
            return vm.berth(place(), "console")
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    return 0


sys.exit(main(sys.argv[1:]))
