"""The tap device: opened, shared with nobody, gone with whoever held it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.host import rtnetlink
from launcher.host.errors import Busy, LauncherError, RightMissing
from launcher.net.tap import open_tap
from tests.pods.namespaces import Namespace, namespaces


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespaces("tap") as (made,):
        yield made


def names(space: Namespace) -> set[str]:
    return {link.name for link in space.call(rtnetlink.links)}


def details(space: Namespace) -> str:
    return space.run("ip", "-details", "link", "show", "tap0")


def test_it_has_what_qemu_wants_and_goes_with_its_descriptor(space: Namespace) -> None:
    def use() -> None:
        with open_tap("tap0") as tap:
            assert "tun type tap pi off vnet_hdr on persist off" in details(space)
            copy = os.dup(tap.fd)
        # QEMU's copy keeps it.
        assert "tap0" in names(space)
        os.close(copy)

    space.call(use)
    assert "tap0" not in names(space)


def test_one_that_was_left_behind_is_made_anew(space: Namespace) -> None:
    space.ip("tuntap add tap0 mode tap user 1\nlink set tap0 mtu 1200")

    def use() -> None:
        with open_tap("tap0"):
            assert "mtu 1500" in details(space)
            assert "user" not in details(space)

    space.call(use)
    assert "tap0" not in names(space)


def test_one_that_is_in_use_is_refused(space: Namespace) -> None:
    def use() -> None:
        with open_tap("tap0"), pytest.raises(Busy, match="in use by another program"):
            open_tap("tap0").__enter__()

    space.call(use)


@pytest.mark.parametrize(
    "command",
    ["link add tap0 type veth peer name other", "tuntap add tap0 mode tap multi_queue"],
    ids=["veth", "many queues"],
)
def test_another_kind_of_device_is_refused(space: Namespace, command: str) -> None:
    space.ip(command)

    def use() -> None:
        with pytest.raises(LauncherError, match="another kind"):
            open_tap("tap0").__enter__()

    space.call(use)


def test_the_device_is_made_where_there_is_none(space: Namespace, tmp_path: Path) -> None:
    device = tmp_path / "net/tun"

    def use() -> None:
        with open_tap("tap0", device) as tap:
            assert tap.vhost_fd is None or tap.vhost_fd > 2

    space.call(use)
    assert device.is_char_device()


def test_a_device_that_cannot_be_made_names_the_right(tmp_path: Path) -> None:
    with pytest.raises(RightMissing, match="MKNOD"):
        open_tap("tap0", tmp_path / "no/such/folder").__enter__()


def test_vhost_is_taken_where_it_opens(space: Namespace, tmp_path: Path) -> None:
    (tmp_path / "vhost-net").touch()

    def use() -> bool:
        with open_tap("tap0", vhost=tmp_path / "vhost-net") as tap:
            return tap.vhost_fd is not None

    assert space.call(use)
