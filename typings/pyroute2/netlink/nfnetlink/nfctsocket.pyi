from typing import Self

from pyroute2.netlink import nlmsg

class NFCTAttrTuple:
    saddr: str | None
    daddr: str | None
    proto: int | None
    sport: int | None
    dport: int | None
    def __init__(
        self,
        *,
        saddr: str | None = ...,
        daddr: str | None = ...,
        proto: int | None = ...,
        dport: int | None = ...,
    ) -> None: ...
    @classmethod
    def from_netlink(cls, family: int, ndmsg: nlmsg) -> Self: ...
