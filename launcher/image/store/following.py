"""One fetches, the others follow: their pods start at the same moment, and want the same image."""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from launcher.host.errors import ImageRefused, LauncherError, SourceUnavailable
from launcher.image.base import Base
from launcher.image.store import holding, lease, lease_files
from launcher.image.store.holding import Lease
from launcher.image.store.lease import Claim, Kernel, State, Timing, Watch
from launcher.image.store.lease_files import Seen
from launcher.image.wanted import Wanted
from launcher.settings.source import redact

logger = logging.getLogger("startvm")

# What is the image's or its server's fault, so that whoever asks for the same would meet it too.
PASSED_ON: dict[str, type[LauncherError]] = {
    "refused": ImageRefused,
    "unavailable": SourceUnavailable,
}


class Clock:
    """Time as a follower needs it; seconds."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def once(
    want: Wanted,
    source: str,
    find: Callable[[], Base | None],
    fetch: Callable[[Lease], Base],
    tell: Callable[[str], None],
    *,
    timing: Timing,
    boot: str,
    clock: Clock,
) -> Base:
    """The base that `find` finds, as soon as somebody has fetched it: we, or one that we follow.

    :param source: the address.
    :param boot: boot id of the kernel that we run under.
    :param tell: is told how far the one that we follow is.
    :raise LauncherError: of `fetch`; or the same for which the one that we followed gave up, where
        it asked for the same as we do.
    """
    key = lease.key(source)
    asked = lease.asked(source, want.checksum, want.name, want.max_size, want.terms)
    follower = Follower(want.folder, key, timing, tell)
    try:
        while True:
            base = find()
            if base is not None:
                return base
            seen = lease_files.look(want.folder, key, boot)
            state: State = "ended"
            if seen is not None:
                state = follower.see(seen, clock.now())
                if state == "alive":
                    clock.sleep(timing.poll)
                    continue
                if seen.claim and state == "ended" and follower.waited_for(seen):
                    pass_on(seen.claim, asked)
            claim = Claim(
                holder=os.uname().nodename,
                id=os.urandom(16).hex(),
                kernel=Kernel(boot, 0),
                locked=False,
                sole=is_sole(seen, state),
                asked=asked,
                source=redact(source),
            )
            held = holding.take(want.folder, key, claim, seen, timing)
            if held is None:
                clock.sleep(timing.poll)
                continue
            if seen is not None:
                follower.say_taken_over(seen, state)
            with holding.holding(held):
                return find() or fetch(held)
    finally:
        follower.leave()


def settled(
    folder: Path, key: str, *, timing: Timing, boot: str, clock: Clock
) -> tuple[Seen | None, State | None]:
    """Look at a lease until it is certain, or patience ends; neither if there is none."""
    watch = Watch(timing)
    generation = 0
    while True:
        seen = lease_files.look(folder, key, boot)
        if seen is None:
            return None, None
        if seen.generation != generation:
            watch, generation = Watch(timing), seen.generation
        state = watch.see(seen.claim, seen.lock, seen.here, clock.now())
        if state != "alive" or watch.sure:
            return seen, state
        clock.sleep(timing.poll)


def is_sole(seen: Seen | None, state: State | None) -> bool:
    """Whether no other fetch of this address can be at work, once the lease `seen` is not."""
    if seen is None:
        return True
    return state != "silent" and seen.claim is not None and seen.claim.sole


def pass_on(claim: Claim, asked: str) -> None:
    """Fail as the holder did, where that would happen to us, too."""
    kind = PASSED_ON.get(claim.outcome)
    if kind is not None and claim.asked == asked:
        raise kind(f"{claim.holder} found: {claim.message}", hint=claim.hint)


class Follower:
    """Watches one lease after the other, and tells what their holders do."""

    def __init__(self, folder: Path, key: str, timing: Timing, tell: Callable[[str], None]) -> None:
        self._folder, self._key, self._timing, self._tell = folder, key, timing, tell
        self._watch = Watch(timing)
        self._watched = 0
        self._waited_for: set[str] = set()
        self._leases: list[Path] = []
        self._told = ""

    def see(self, seen: Seen, now: float) -> State:
        if self._watched != seen.generation:
            self._watch, self._watched = Watch(self._timing), seen.generation
        state = self._watch.see(seen.claim, seen.lock, seen.here, now)
        if state == "alive" and seen.claim:
            self._wait_for(seen, seen.claim)
        return state

    def waited_for(self, seen: Seen) -> bool:
        """Whether it was at work when we saw it first. How an earlier fetch ended is no reason not
        to try again."""
        return seen.id in self._waited_for

    def say_taken_over(self, seen: Seen, state: State) -> None:
        """Warn of a holder that did not do what we waited for."""
        if seen.claim and seen.claim.outcome == "ready":
            return
        if state != "ended" or self.waited_for(seen):
            holder = seen.claim.holder if seen.claim else "somebody"
            patience = f"{self._timing.patience:.0f} s"
            why = {
                "ended": "stopped fetching it",
                "dead": "died while it fetched it",
                "silent": f"fetched it, and shows no sign of life for {patience}",
            }
            logger.warning("%s %s; fetching it here", holder, why[state])

    def leave(self) -> None:
        """Remove our marks of leases that are gone."""
        for each in self._leases:
            with suppress(OSError):
                if not each.exists():
                    lease_files.mark(each).unlink(missing_ok=True)

    def _wait_for(self, seen: Seen, claim: Claim) -> None:
        if seen.id not in self._waited_for:
            self._waited_for.add(seen.id)
            path = lease_files.path(self._folder, self._key, seen.generation)
            self._leases.append(path)
            with suppress(OSError):
                lease_files.mark(path).touch()
        text = f"{claim.holder} fetches it: {claim.doing or 'beginning'}"
        if text != self._told:
            self._told = text
            self._tell(text)
            logger.info("%s", text)
