"""Lists of checksums as distributions publish them."""

import pytest

from launcher.host.errors import ImageRefused
from launcher.image import sums

A, B = "a" * 64, "b" * 64
LONG = "c" * 128
AT = "https://example.org/SHA256SUMS"


@pytest.mark.parametrize(
    "line",
    [
        f"{A}  disk.qcow2",
        f"{A} *disk.qcow2",
        f"{A} disk.qcow2",
        f"{A.upper()}  disk.qcow2",
        f"{A}  ./disk.qcow2",
        f"{A} *images/cloud/disk.qcow2",
        f"SHA256 (disk.qcow2) = {A}",
        f"SHA256(disk.qcow2)= {A}",
        f"sha256 (disk.qcow2) = {A.upper()}",
        f"{A}  disk.qcow2\r",
    ],
)
def test_the_ways_in_which_an_entry_is_written(line: str) -> None:
    text = f"{B}  other.qcow2\n{line}\n{B}  disk.qcow2.xz\n"
    assert sums.look_up(text, "sha256", "disk.qcow2", AT) == A


def test_a_signed_list_with_comments_and_several_algorithms() -> None:
    text = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# disk.qcow2: 432 bytes
SHA512 (disk.qcow2) = {LONG}
SHA256 (disk.qcow2) = {A}
MD5 (disk.qcow2) = {"d" * 32}
-----BEGIN PGP SIGNATURE-----
{"e" * 64}
"""
    assert sums.look_up(text, "sha256", "disk.qcow2", AT) == A
    assert sums.look_up(text, "sha512", "disk.qcow2", AT) == LONG


def test_names_are_compared_whole() -> None:
    text = f"{A}  a disk.qcow2\n{A}  disk.qcow2.sig\n{A}  my-disk.qcow2\n"
    with pytest.raises(ImageRefused, match=r"does not list disk\.qcow2"):
        sums.look_up(text, "sha256", "disk.qcow2", AT)


def test_a_missing_entry_shows_what_is_listed() -> None:
    text = "".join(f"{A}  disk-{n}.qcow2\n" for n in range(9))
    with pytest.raises(ImageRefused) as caught:
        sums.look_up(text, "sha256", "disk.qcow2", AT)
    assert str(caught.value) == (
        f"IMG_CHECKSUM={AT} does not list disk.qcow2 (hint: it lists disk-0.qcow2, disk-1.qcow2, "
        "disk-2.qcow2, disk-3.qcow2, disk-4.qcow2, …; the name is the last part of IMG_SOURCE)"
    )


@pytest.mark.parametrize("text", ["", "<html>404</html>", f"{LONG}  disk.qcow2"])
def test_what_is_no_list_of_such_digests(text: str) -> None:
    with pytest.raises(ImageRefused, match="no list of sha256 digests"):
        sums.look_up(text, "sha256", "disk.qcow2", AT)


def test_two_digests_for_one_name() -> None:
    text = f"{A}  old/disk.qcow2\n{B}  new/disk.qcow2\n"
    with pytest.raises(ImageRefused, match=r"2 digests for disk\.qcow2"):
        sums.look_up(text, "sha256", "disk.qcow2", AT)
    assert sums.look_up(text.replace(B, A), "sha256", "disk.qcow2", AT) == A


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://example.org/a/disk.qcow2", "disk.qcow2"),
        ("https://example.org/disk.qcow2?token=a/b#part", "disk.qcow2"),
        ("https://example.org/disk%20one.qcow2", "disk one.qcow2"),
        ("/images/disk%20one.qcow2", "disk%20one.qcow2"),
        ("/images/what?.qcow2", "what?.qcow2"),
    ],
)
def test_the_name_to_look_for(source: str, name: str) -> None:
    assert sums.file_name(source) == name
