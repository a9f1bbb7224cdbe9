"""How the C library keeps memory."""

# glibc's malloc.h.
M_ARENA_MAX = -8


def share_heaps() -> None:
    """Let all threads take memory from two heaps, where glibc would give each of them its own.

    Every heap keeps what it once needed, so that many threads that read at once would keep it many
    times over. Another C library is left as it is.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_ARENA_MAX, 2)
