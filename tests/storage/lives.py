"""The life of a VM whose QEMU is a program of our own: tests/storage/fake_qemu.py."""

import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any

from launcher.disk.place import Place
from launcher.disk.space import Backing
from launcher.host.process import Child, spawn
from launcher.host.unix import listening
from launcher.life import control, state
from launcher.life.outcome import End
from launcher.life.service import Service
from launcher.life.state import Phase
from launcher.life.supervisor import Vm, supervise

FAKE = Path(__file__).with_name("fake_qemu.py")

Step = list[Any]

GUEST_OFF: list[Step] = [
    ["event", "SHUTDOWN", {"guest": True, "reason": "guest-shutdown"}],
    ["exit", 0],
]
RUNS: Step = ["event", "RESUME", {}]
TERM: Step = ["signal", SIGTERM]


@contextmanager
def signals_restored() -> Iterator[None]:
    """What supervise() does to the signals of its process is undone."""
    before = {number: signal.getsignal(number) for number in (SIGTERM, SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            # One that is still pending would be delivered with the old handler.
            signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
            signal.signal(number, handler)


class Life:
    """One VM's life."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.notes = run_dir / "notes"
        self.door = control.path(run_dir)
        self.script: dict[str, list[Step]] = {}
        self.disks: dict[str, Backing] = {}
        self.qemu: Child | None = None
        self.monitor: socket.socket | None = None

    def note(self, text: str) -> Step:
        """A step that leaves a note."""
        return ["note", str(self.notes), text]

    def phase_at(self, phase: Phase) -> None:
        found = state.read(self.run_dir)
        assert found
        assert found.phase is phase

    def live(
        self,
        prepare: Callable[[], Sequence[Service]] = lambda: (),
        stop_timeout: float = 30,
        **script: list[Step],
    ) -> End:
        self.monitor, theirs = socket.socketpair()
        argv = [sys.executable, "-SE", str(FAKE), str(theirs.fileno())]
        argv.append(json.dumps(self.script | script))
        with ExitStack() as stack:
            with theirs:
                self.qemu = stack.enter_context(
                    spawn("qemu", argv, pass_fds=[theirs.fileno()], capture_stderr=True)
                )
            door = stack.enter_context(listening(self.door))
            vm = Vm(
                name="web-0",
                qemu=self.qemu,
                monitor=self.monitor,
                door=door,
                agent_socket=self.run_dir / "agent.sock",
                run_dir=self.run_dir,
                stop_timeout=stop_timeout,
                disks=self.disks,
                pet=Place(self.run_dir, "web-0"),
            )
            return supervise(vm, prepare)
