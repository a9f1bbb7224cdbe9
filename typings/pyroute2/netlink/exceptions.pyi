class NetlinkError(Exception):
    # An errno of the kernel's.
    code: int
    def __init__(self, code: int, msg: str | None = ...) -> None: ...
