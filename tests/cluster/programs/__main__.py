"""``python -m tests.cluster.programs NAME...``: print the paths of programs, building them first.

Without names everything is built and the folders are printed.
"""

import argparse
import sys

from tests.cluster.programs.build import BuildError, find, prepare
from tests.cluster.programs.pins import PROGRAMS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.programs", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PROGRAMS))
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in PROGRAMS]:
        parser.error(f"no such program: {', '.join(unknown)}; there are {', '.join(PROGRAMS)}")
    try:
        prepare(*(names or PROGRAMS))
    except (BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(*([find(name) for name in names] or sorted({find(n).parent for n in PROGRAMS})), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
