"""QEMU's rules for ports, read as QEMU reads them."""

from ipaddress import IPv4Address

import pytest

from launcher.settings.hostfwd import ACCEPTED, Forward, forwards


def test_all_of_it() -> None:
    assert forwards("hostfwd=TCP:10.0.0.5:2222-192.168.254.2:22, udp::53-:5353") == (
        Forward("tcp", IPv4Address("10.0.0.5"), 2222, IPv4Address("192.168.254.2"), 22),
        Forward("udp", None, 53, None, 5353),
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("tcp::2222-:22", "tcp::2222-:22"),
        # What QEMU takes no protocol for, and an address that is all of them.
        ("::2222-:22", "tcp::2222-:22"),
        ("hostfwd=udp:0.0.0.0:0053-:53", "udp::53-:53"),
        ("tcp:10.0.0.5:80-192.168.254.2:80", "tcp:10.0.0.5:80-192.168.254.2:80"),
    ],
)
def test_it_is_shown_in_one_way_that_reads_back(value: str, shown: str) -> None:
    (found,) = forwards(value)
    assert str(found) == shown
    assert forwards(shown) == (found,)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("2222:22", "'2222:22': it is not protocol:[address]:port-[address]:port"),
        ("tcp::1-:2,", "'': it is not protocol:[address]:port-[address]:port"),
        ("sctp::1-:2", "'sctp::1-:2': the protocol is tcp or udp"),
        ("tcp::0-:2", "'tcp::0-:2': 0 is no port from 1 to 65535"),
        ("tcp::-:2", "'tcp::-:2': nothing is no port from 1 to 65535"),
        ("tcp::1-:65536", "'tcp::1-:65536': 65536 is no port from 1 to 65535"),
        # Digits, but not those that QEMU reads.
        ("tcp::1-:\u0661", "'tcp::1-:\u0661': \u0661 is no port from 1 to 65535"),
        ("tcp:host:1-:2", "'tcp:host:1-:2': host is no IPv4 address"),
        ("tcp::1-::1:2", "'tcp::1-::1:2': it is not protocol:[address]:port-[address]:port"),
        ("tcp::1-10.0.0:2", "'tcp::1-10.0.0:2': 10.0.0 is no IPv4 address"),
        ("tcp::1-:2,tcp::1-:3", "'tcp::1-:2' and 'tcp::1-:3' take the same port"),
        (
            "tcp:10.0.0.1:1-:2,tcp::1-:3",
            "'tcp:10.0.0.1:1-:2' and 'tcp::1-:3' take the same port",
        ),
        ("tcp::1-:2,tcp:0.0.0.0:1-:2", "'tcp::1-:2' and 'tcp::1-:2' take the same port"),
    ],
)
def test_what_is_wrong_is_named(value: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^a comma list") as caught:
        forwards(value)
    assert str(caught.value) == f"{ACCEPTED} ({problem})"


def test_all_that_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match="protocol") as caught:
        forwards("x:y:0-z:99999,22,udp::1-:1,udp::1-:1")
    assert str(caught.value).count(";") == 6


def test_one_port_of_two_addresses_or_protocols_is_two() -> None:
    assert len(forwards("tcp:10.0.0.1:1-:2,tcp:10.0.0.2:1-:3,udp:10.0.0.1:1-:2,tcp::2-:2")) == 4
