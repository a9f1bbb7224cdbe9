"""What each parser takes, and the words with which it refuses."""

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from launcher.settings import parse
from launcher.settings.parse import Checksum, Port

SHA256 = "0123456789abcdef" * 4
SHA512 = SHA256 * 2
MIB = 1 << 20
GIB = 1 << 30

ACCEPTED: list[tuple[Callable[[str], Any], str, Any]] = [
    (parse.text, "as it is", "as it is"),
    (parse.flag, "yes", True),
    (parse.flag, "1", True),
    (parse.flag, "anything", True),
    (parse.flag, "No", False),
    (parse.flag, "0", False),
    (parse.flag, "FALSE", False),
    (parse.flag, "off", False),
    (parse.flag, "N", False),
    (parse.flag, "f", False),
    (parse.path, "/userdata", Path("/userdata")),
    (parse.path, "/with a space/ü", Path("/with a space/ü")),
    (parse.source, "https://example.org/disk.qcow2", "https://example.org/disk.qcow2"),
    (parse.source, "http://[2001:db8::1]:8080/d.img", "http://[2001:db8::1]:8080/d.img"),
    (parse.source, "https://me:pa@ss@example.org/d?a=/b", "https://me:pa@ss@example.org/d?a=/b"),
    (parse.source, "https://example.org/?file=disk", "https://example.org/?file=disk"),
    (parse.source, "/images/my disk.qcow2", "/images/my disk.qcow2"),
    (parse.target, "debian-13.qcow2", "debian-13.qcow2"),
    (parse.target, "a" * 200, "a" * 200),
    (parse.target, "/images/disk.qcow2", "/images/disk.qcow2"),
    (parse.checksum, f"sha256:{SHA256.upper()}", Checksum("sha256", digest=SHA256)),
    (parse.checksum, f"sha512:{SHA512}", Checksum("sha512", digest=SHA512)),
    (
        parse.checksum,
        "https://example.org/12/SHA512SUMS",
        Checksum("sha512", sums_url="https://example.org/12/SHA512SUMS"),
    ),
    (
        parse.checksum,
        "https://example.org/SHA256SUMS?signature=a/b",
        Checksum("sha256", sums_url="https://example.org/SHA256SUMS?signature=a/b"),
    ),
    (
        parse.checksum,
        "http://example.org/disk.SHA256SUM",
        Checksum("sha256", sums_url="http://example.org/disk.SHA256SUM"),
    ),
    (parse.host_name, "web-0", "web-0"),
    (parse.host_name, "Web-0.example.org", "Web-0.example.org"),
    (parse.host_name, "0", "0"),
    (parse.host_name, "a" * 63, "a" * 63),
    (parse.host_name, ".".join(["a" * 49] * 4), ".".join(["a" * 49] * 4)),
    (parse.size, "1", 1),
    (parse.size, "512", 512),
    (parse.size, "1k", 1024),
    (parse.size, "512M", 512 * MIB),
    (parse.size, "4G", 4 * GIB),
    (parse.size, "4Gi", 4 * GIB),
    (parse.size, "4GiB", 4 * GIB),
    (parse.size, "4gb", 4 * GIB),
    (parse.size, "2T", 2048 * GIB),
    (parse.size, "100B", 100),
    (parse.mebibytes, "2048", 2 * GIB),
    (parse.whole(1, 255), "1", 1),
    (parse.whole(1, 255), "255", 255),
    (parse.whole(1, 255), "007", 7),
    (parse.address, "10.1.2.3", IPv4Address("10.1.2.3")),
    (parse.address, "169.254.7.2", IPv4Address("169.254.7.2")),
    (parse.ports, "tcp/9180", (Port("tcp", 9180),)),
    (parse.ports, "UDP/53, tcp/1,udp/53", (Port("tcp", 1), Port("udp", 53))),
    (parse.ports, "sctp/65535", (Port("sctp", 65535),)),
    (parse.one_of("auto", "kvm"), "KVM", "kvm"),
]


@pytest.mark.parametrize(("parser", "value", "parsed"), ACCEPTED)
def test_accepted(parser: Callable[[str], Any], value: str, parsed: Any) -> None:
    assert parser(value) == parsed


PATH = "a full path, such as /userdata"
SOURCE = (
    "an http:// or https:// URL, or a full path in the container, such as "
    "https://example.org/disk.qcow2 or /images/disk.qcow2"
)
TARGET = (
    "a file name of letters, digits and ._+- (it names the base on the shared volume), or the full "
    "path of an image in the container"
)
CHECKSUM = (
    "sha256: and 64 hex digits, sha512: and 128, or the URL of a SHA256SUMS or SHA512SUMS file"
)
HOST_NAME = "a host name of letters, digits, hyphens and dots, up to 200 characters, such as web-0"
SIZE = "a size in bytes or with K, M, G or T (powers of 1024), such as 512M, 4G"
CPUS = "a whole number from 1 to 255"
ADDRESS = "the IPv4 address of a host, such as 192.168.254.2"
PORTS = "a comma list of protocol/port, such as tcp/9180,udp/53"

REFUSED: list[tuple[Callable[[str], Any], str, str]] = [
    (parse.path, "userdata", PATH),
    (parse.path, "/a\0b", PATH),
    (parse.source, "example.org/disk.qcow2", SOURCE),
    (parse.source, "ftp://example.org/disk.qcow2", SOURCE),
    (parse.source, "https://example.org", SOURCE),
    (parse.source, "https://example.org/", SOURCE),
    (parse.source, "https:///disk.qcow2", SOURCE),
    (parse.source, "https://example.org:port/disk.qcow2", SOURCE),
    (parse.source, "https://me:a/b@example.org/disk.qcow2", SOURCE),
    (parse.source, "https://me:a?b@example.org/disk.qcow2", SOURCE),
    (parse.source, "https://example.org/a b", SOURCE),
    (parse.source, "https://example.org/disk\nIMG_TARGET=x", SOURCE),
    (parse.source, "/", SOURCE),
    (parse.source, "/a\nb", SOURCE),
    (parse.source, "disk.qcow2", SOURCE),
    (parse.target, "..", TARGET),
    (parse.target, ".hidden", TARGET),
    (parse.target, "a/b", TARGET),
    (parse.target, "a b", TARGET),
    (parse.target, "a" * 201, TARGET),
    (parse.checksum, SHA256, CHECKSUM),
    (parse.checksum, f"sha256:{SHA512}", CHECKSUM),
    (parse.checksum, f"sha512:{SHA256}", CHECKSUM),
    (parse.checksum, f"md5:{'0' * 32}", CHECKSUM),
    (parse.checksum, "https://example.org/disk.qcow2", CHECKSUM),
    (parse.checksum, "https://SHA256SUMS.example.org/x", CHECKSUM),
    (parse.checksum, "/SHA256SUMS", CHECKSUM),
    (parse.host_name, "web_0", HOST_NAME),
    (parse.host_name, "-web", HOST_NAME),
    (parse.host_name, "web-", HOST_NAME),
    (parse.host_name, "a..b", HOST_NAME),
    (parse.host_name, "../pet", HOST_NAME),
    (parse.host_name, "a" * 64, HOST_NAME),
    (parse.host_name, ".".join(["a" * 50] * 4), HOST_NAME),
    (parse.size, "0", SIZE),
    (parse.size, "0G", SIZE),
    (parse.size, "1.5G", SIZE),
    (parse.size, "-1", SIZE),
    (parse.size, "4P", SIZE),
    (parse.size, "1i", SIZE),
    (parse.size, "G", SIZE),
    (parse.size, "4 G", SIZE),
    (parse.size, "4\N{KELVIN SIGN}", SIZE),
    (parse.size, "\N{ARABIC-INDIC DIGIT FOUR}G", SIZE),
    (parse.mebibytes, "2G", "a whole number from 1 to 1073741824"),
    (parse.mebibytes, "0", "a whole number from 1 to 1073741824"),
    (parse.whole(1, 255), "0", CPUS),
    (parse.whole(1, 255), "256", CPUS),
    (parse.whole(1, 255), "2.5", CPUS),
    (parse.whole(1, 255), "-1", CPUS),
    (parse.whole(1, 255), "1" * 5000, CPUS),
    (parse.whole(1, 255), "\N{SUPERSCRIPT TWO}", CPUS),
    (parse.address, "10.1.2", ADDRESS),
    (parse.address, "10.1.2.3/30", ADDRESS),
    (parse.address, "::1", ADDRESS),
    (parse.address, "127.0.0.2", ADDRESS),
    (parse.address, "0.0.0.2", ADDRESS),
    (parse.address, "224.0.0.1", ADDRESS),
    (parse.address, "255.255.255.254", ADDRESS),
    (parse.ports, "9180", PORTS),
    (parse.ports, "tcp/0", PORTS),
    (parse.ports, "tcp/65536", PORTS),
    (parse.ports, "icmp/1", PORTS),
    (parse.ports, "tcp/1,", PORTS),
    (parse.ports, "tcp/1 udp/2", PORTS),
    (parse.ports, "\N{LATIN SMALL LETTER LONG S}ctp/1", PORTS),
    (parse.one_of("auto", "kvm", "tcg"), "xen", "auto, kvm or tcg"),
    (parse.one_of("nft", "iptables"), "", "nft or iptables"),
]


@pytest.mark.parametrize(("parser", "value", "accepted"), REFUSED)
def test_refused(parser: Callable[[str], Any], value: str, accepted: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as caught:
        parser(value)
    assert str(caught.value) == accepted
