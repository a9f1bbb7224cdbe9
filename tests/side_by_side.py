"""`python -m tests.side_by_side FIRST OTHER...`: pytest for FIRST, and for all others beside it.

What is said of the folder FIRST is shown as it comes, and that of the others after it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence


def main(words: Sequence[str]) -> int:
    """Return pytest's exit status: the first's, unless that is 0."""
    first, *others = words
    command = [sys.executable, "-m", "pytest"]
    # Whole lines in the order in which they were written, whichever of the two streams has them.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as later:
        with (
            subprocess.Popen([*command, *others], stdout=later, stderr=later) as aside,
            subprocess.Popen([*command, first]) as shown,
        ):
            try:
                statuses = shown.wait(), aside.wait()
            except KeyboardInterrupt:
                # A terminal tells all three; each takes down what it has made.
                statuses = shown.wait(), aside.wait()
        later.seek(0)
        sys.stdout.write(later.read())
    return statuses[0] or statuses[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
