"""Netlink messages: framing, nested attributes, dumps (netlink(7), RFC 3549)."""

import errno
import os
import socket
import struct
from collections.abc import Iterator

from launcher.host.errors import LauncherError, RightMissing

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLM_F_DUMP_INTR = 0x10
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF

# A dump that keeps changing under our eyes is not worth more attempts than this.
DUMP_ATTEMPTS = 5
RECEIVE_BYTES = 1 << 16


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    size = 4 + len(data)
    return struct.pack("=HH", size, kind) + data + bytes(-size % 4)


def nested(kind: int, data: bytes) -> bytes:
    """An attribute whose data are attributes."""
    return attribute(kind | NLA_F_NESTED, data)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data`, by number, without their flags."""
    offset = 0
    while offset + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, offset)
        if size < 4:
            return
        yield kind & NLA_TYPE_MASK, data[offset + 4 : offset + size]
        offset += size + -size % 4


class _Interrupted(Exception):
    """The table changed while it was being dumped, so the answer may lack something."""


def dump(kind: int, header: bytes) -> list[bytes]:
    """All objects of one kind: the bodies of the messages that tell of them.

    :raise LauncherError: when they change all the time.
    """
    for _ in range(DUMP_ATTEMPTS):
        try:
            return list(request(kind, NLM_F_DUMP, header))
        except _Interrupted:
            continue
    raise LauncherError("the pod's network did not stay the same long enough to be read")


def request(kind: int, flags: int, payload: bytes) -> Iterator[bytes]:
    """Send one message to rtnetlink and yield the bodies of the answers.

    :raise RightMissing: when what is asked for needs NET_ADMIN.
    :raise LauncherError: when the kernel refuses it for another reason, in its words.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as channel:
        channel.bind((0, 0))
        head = struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_REQUEST | flags, 1, 0)
        channel.send(head + payload)
        while True:
            data = channel.recv(RECEIVE_BYTES)
            offset = 0
            while offset < len(data):
                size, answer, answer_flags, _, _ = struct.unpack_from("=IHHII", data, offset)
                body = data[offset + 16 : offset + size]
                offset += size + -size % 4
                if answer_flags & NLM_F_DUMP_INTR:
                    raise _Interrupted
                if answer == NLMSG_DONE:
                    return
                if answer == NLMSG_ERROR:
                    _check(-int(struct.unpack_from("=i", body)[0]))
                    return
                yield body


def _check(error: int) -> None:
    if error in (errno.EPERM, errno.EACCES):
        raise RightMissing(
            "changing the pod's network is not allowed",
            hint="the container needs the capability NET_ADMIN",
        )
    if error:
        raise LauncherError(f"the kernel refused a change of the network: {os.strerror(error)}")
