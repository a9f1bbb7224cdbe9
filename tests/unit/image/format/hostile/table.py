"""The images that must never be opened by QEMU or qemu-img, as small as they come.

They are after what was found in nova, glance, cinder and oslo.utils (CVE-2024-32498,
CVE-2024-40767, CVE-2026-24708), in qemu-img itself (CVE-2024-4467), in the tests of oslo.utils'
format inspector and in those of KubeVirt's importer.
"""

from tests.unit.image.format.hostile import archives, foreign, packings, qcow2_headers, qcow2_tables

TRAPS = (
    *qcow2_headers.names_of_others(),
    *qcow2_headers.tables(),
    *qcow2_tables.led_astray(),
    *qcow2_tables.miscounted(),
    *qcow2_tables.cut_short(),
    *qcow2_tables.of_snapshots(),
    *qcow2_tables.of_bitmaps(),
    *foreign.of_vmware(),
    *foreign.of_others(),
    *archives.archives(),
    *packings.packings(),
)
