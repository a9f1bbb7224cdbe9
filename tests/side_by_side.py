"""`python -m tests.side_by_side FIRST... -- OTHER...`: two pytests at once, each for some folders.

What is said of the first folders is shown as it comes, and that of the others after it.
"""

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence


def main(words: Sequence[str]) -> int:
    """Return pytest's exit status: the first's, unless that is 0."""
    end = words.index("--")
    first, others = words[:end], words[end + 1 :]
    command = [sys.executable, "-m", "pytest"]
    # Whole lines in the order in which they were written, whichever of the two streams has them.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as later:
        with (
            subprocess.Popen([*command, *others], stdout=later, stderr=later) as aside,
            subprocess.Popen([*command, *first]) as shown,
        ):
            signal.signal(signal.SIGTERM, lambda *_: interrupt(shown, aside))
            # Not a daemon: its words are there before the end.
            threading.Thread(target=tell, args=[aside]).start()
            try:
                statuses = shown.wait(), aside.wait()
            except KeyboardInterrupt:
                # A terminal tells all three; each takes down what it has made.
                statuses = shown.wait(), aside.wait()
        later.seek(0)
        sys.stdout.write(later.read())
    return statuses[0] or statuses[1]


def interrupt(*halves: subprocess.Popen[bytes]) -> None:
    """What pytest takes down its fixtures for, as it does not when it is terminated."""
    for each in halves:
        each.send_signal(signal.SIGINT)


def tell(aside: subprocess.Popen[bytes]) -> None:
    """Say how it ended when it does, which may be long before all of it is shown."""
    how = "FAILED" if aside.wait() else "passed"
    print(f"\n== beside it: {how}; shown at the end", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
