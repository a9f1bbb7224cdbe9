"""`python -m tests.bench.fetch.peak`: fetch as tests.storage.ensure does, then say the most memory.

A line of JSON: the peak's bytes, and the modules that were imported. With `idle`, no fetch: the
modules on stdin are imported, and nothing else is done. The difference is what a fetch takes.
"""

import importlib
import json
import re
import sys
from contextlib import suppress
from pathlib import Path


def peak() -> int:
    """Bytes of this process alone, since it was executed; getrusage has its parent's in it."""
    status = Path("/proc/self/status").read_text("utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
    assert found, "the kernel says nothing about memory"
    return int(found[1]) * 1024


def main(words: list[str]) -> int:
    if words == ["idle"]:
        for name in json.load(sys.stdin):
            # Some are there under names that nobody could import them by.
            with suppress(ImportError):
                importlib.import_module(name)
        status = 0
    else:
        from tests.storage import ensure

        status = ensure.main()
    print(json.dumps({"peak": peak(), "modules": sorted(sys.modules)}))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
