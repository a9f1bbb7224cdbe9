"""Ignition's config: one file, under the two names that Fedora CoreOS and Flatcar look for."""

import json
from pathlib import Path

# The names in QEMU's firmware configuration (coreos/ignition: internal/providers/qemu; Flatcar's
# build of it has its own). Nothing else reads them, so both are always there.
FW_CFG_NAMES = ("opt/com.coreos/config", "opt/org.flatcar-linux/config")

# Linux reads such a file in pages, each time from its first byte on, one byte at a time: 256 KiB
# take some 8 million exits to QEMU, which is 10 seconds; 1 MiB would be minutes.
MAX_SIZE = 256 * 1024


def path(run_dir: Path) -> Path:
    """Where QEMU reads the config: what was checked, wherever the user has it, and readable."""
    return run_dir / "ignition"


def problem(data: bytes) -> str:
    """What is wrong with an Ignition config, as a clause with what is accepted; empty if nothing.

    Ignition itself judges the rest in the guest, by the version that the config names.
    """
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as err:
        return f"it is not JSON ({err}); accepted: Ignition's JSON, which butane makes from YAML"
    header = config.get("ignition") if isinstance(config, dict) else None
    if not isinstance(header, dict) or not isinstance(header.get("version"), str):
        return 'it has no ignition.version; accepted: {"ignition": {"version": "3.4.0"}, …}'
    return ""
