"""QEMU from its first breath to its last: monitor, events, orders to stop, services beside it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIG_BLOCK, SIGINT, SIGKILL, SIGTERM, pthread_sigmask
from socket import socket
from typing import Any, TypeVar

from launcher.disk.place import Place
from launcher.disk.space import Backing
from launcher.host.process import Child
from launcher.life import io_error, state
from launcher.life.changes import Changes
from launcher.life.children import end_of, relay
from launcher.life.control import serve
from launcher.life.freeze import Freezer
from launcher.life.health import Health
from launcher.life.ladder import Rung
from launcher.life.monitor import Monitor, MonitorLost, connect
from launcher.life.outcome import End
from launcher.life.recovery import Recovery
from launcher.life.service import Service, keep
from launcher.life.shutdown import Descent
from launcher.life.state import Phase, State
from launcher.life.volumes import Volumes

logger = logging.getLogger("startvm")
T = TypeVar("T")

# What tells us to stop.
ORDERS = (SIGTERM, SIGINT)

# QEMU that closed its monitor, or was told to quit, ends within this time, or is killed. Seconds.
LAST_BREATH = 10.0

# A kernel that reboots resets the machine by each way it knows, and firmware once more. Seconds.
SAME_REBOOT = 2.0


@dataclass(frozen=True, slots=True)
class Vm:
    """A QEMU that was started paused, with what belongs to it. `door` is the control socket;
    `disks` has the file of each disk that the guest writes to, by the name of its block node;
    `pet`: the names of its own disk's files."""

    name: str
    qemu: Child
    monitor: socket
    door: socket
    agent_socket: Path
    run_dir: Path
    stop_timeout: float
    disks: Mapping[str, Backing]
    pet: Place


def supervise(vm: Vm, prepare: Callable[[], Sequence[Service]]) -> End:
    """Let the VM run, once `prepare` has made ready what it needs, until it has ended.

    `prepare` returns the services that it started, which are kept running with the VM.

    `prepare` runs after QEMU has answered, with no event loop running: the library that makes the
    links brings its own. What it raises is raised, and the VM never ran.
    """
    with asyncio.Runner() as runner:
        watch = Supervision(vm)
        try:
            services = prepare() if runner.run(watch.meet()) else ()
            return runner.run(watch.live(services))
        finally:
            runner.run(watch.leave())


class Supervision:
    """What is known of a VM while it is watched. `meet`, `live` and `leave` are called in turn."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self._ended = asyncio.Event()
        self._closed = asyncio.Event()
        self._orders: asyncio.Queue[None] = asyncio.Queue()
        self._ran = False
        self._stopping = False
        self._forced = False
        self._paused = False
        self._reason: str | None = None
        self._state = State(Phase.STARTING, 0)
        self._reset = -SAME_REBOOT
        self._tasks = AsyncExitStack()
        self._monitor: Monitor | None = None

    async def meet(self) -> bool:
        """Connect to QEMU's monitor. False if QEMU ended instead of answering, or was told to."""
        loop = asyncio.get_running_loop()
        for number in ORDERS:
            loop.add_signal_handler(number, self._orders.put_nowait, None)
        self._words = self._begin(relay(self.vm.qemu))
        self._ending = self._begin(end_of(self.vm.qemu))
        self._ending.add_done_callback(lambda _: self._ended.set())
        impatience = self._begin(self._kill_when_told())
        with suppress(MonitorLost):
            self._monitor = await self._tasks.enter_async_context(connect(self.vm.monitor))
            volumes = Volumes(self.vm.disks)
            self._recovery = Recovery(self._monitor, volumes.space, self._tell)
            self._begin(self._recovery.watch())
            self._following = self._begin(self._follow(self._monitor, self._recovery))
            logger.debug("the monitor answers")
        impatience.cancel()
        return self._monitor is not None and not self._stopping

    async def live(self, services: Sequence[Service]) -> End:
        """From `cont` to the end of QEMU."""
        if self._monitor:
            for each in services:
                self._begin(keep(each))
            health = Health(self._monitor, self.vm.agent_socket, lambda: self._state)
            self._tasks.callback(health.close)
            freezer = Freezer(self.vm.agent_socket, health.agent_is_free)
            self._begin(freezer.watch())
            changes = Changes(
                self._monitor,
                freezer.at_rest,
                self.vm.pet,
                lambda: self._state,
                lambda: self._orders.put_nowait(None),
            )
            commands = {"status": health.status, **changes.commands()}
            self._begin(serve(self.vm.door, commands))
            self._begin(changes.tidy())
            with suppress(MonitorLost):
                await self._run(self._monitor)
        status = await self._last_breath()
        if self._monitor:
            await self._following
        return End(
            status=status,
            reason=self._reason,
            ran=self._ran,
            asked=self._stopping,
            forced=self._forced,
            paused=self._paused,
            words=await self._words,
        )

    async def leave(self) -> None:
        """End all that belongs to watching; QEMU itself is its owner's to end."""
        await self._tasks.aclose()
        # An order that comes from now on must not cut the taking down short, nor be lost.
        pthread_sigmask(SIG_BLOCK, ORDERS)
        for number in ORDERS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.ensure_future(work)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._tasks.push_async_callback(end)
        return task

    async def _kill_when_told(self) -> None:
        """Obey an order that comes before QEMU answers, which it may never do: its storage hangs,
        say. The guest has not run, so there is nothing in it to lose."""
        await self._orders.get()
        self._stopping = True
        self.vm.qemu.send(SIGKILL)

    async def _run(self, monitor: Monitor) -> None:
        # The loop takes two rounds to learn of a signal that came while it was not running.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if not self._orders.empty():
            # Told to stop before the guest ran its first instruction: nothing to shut down.
            self._stopping = True
            await monitor.execute("quit")
            return
        await monitor.execute("cont")
        self._ran = True
        logger.info("%s is running", self.vm.name)
        order = asyncio.ensure_future(self._orders.get())
        ends = [asyncio.ensure_future(each.wait()) for each in (self._ended, self._closed)]
        try:
            await asyncio.wait({order, *ends}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()
        if not order.done():
            order.cancel()
            return
        self._stopping = True
        self._remember(Phase.STOPPING)
        logger.info("told to stop; the guest has %g s", self.vm.stop_timeout)
        # One that was let go on may be about to stop again.
        if self._paused or self._recovery.is_under_way:
            logger.warning("the VM is paused, and cannot shut down unless it goes on before that")
            self._recovery.hurry()
        descent = Descent(monitor, self.vm.qemu, self.vm.agent_socket, self._ended, self._orders)
        rung = await descent.run(self.vm.stop_timeout)
        self._forced = rung in (Rung.QUIT, Rung.KILL)

    async def _last_breath(self) -> int:
        """QEMU's exit status; it is killed if it does not end although it should."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._ending), LAST_BREATH)
        except TimeoutError:
            logger.error("QEMU closed its monitor but did not end; killing it")
            return self.vm.qemu.stop(grace=0)

    async def _follow(self, monitor: Monitor, recovery: Recovery) -> None:
        """Log QEMU's events, and keep the state file true."""
        async for event in monitor.events():
            name, data = event["event"], event.get("data", {})
            if name != "RESET" or self._is_first_reset():
                notice(name, data)
            match name:
                case "SHUTDOWN":
                    self._reason = data["reason"]
                case "RESUME":
                    self._paused = False
                    recovery.started()
                    # One that was let go on has to last before it counts.
                    if not recovery.is_under_way:
                        self._tell(Phase.RUNNING, "")
                case "BLOCK_IO_ERROR" if data.get("action") == "stop":
                    recovery.failed(data)
                case "STOP" if self._reason is None:
                    self._paused = True
                    recovery.stopped()
                    self._tell(Phase.PAUSED, recovery.reason)
        self._closed.set()

    def _is_first_reset(self) -> bool:
        """Whether no other reset came just before this one."""
        now = asyncio.get_running_loop().time()
        before, self._reset = self._reset, now
        return now - before > SAME_REBOOT

    def _tell(self, phase: Phase, reason: str) -> None:
        """The phase of a VM that nobody has told to stop."""
        if not self._stopping:
            self._remember(phase, reason)

    def _remember(self, phase: Phase, reason: str = "") -> None:
        since = self._state.since if phase is self._state.phase else None
        self._state = state.remember(self.vm.run_dir, phase, reason, since)


def notice(name: str, data: Mapping[str, Any]) -> None:
    """One line for each event that a person would want to know of."""
    match name:
        case "RESET" if data.get("guest"):
            logger.info("the guest reboots")
        case "SHUTDOWN":
            logger.info("the VM is off: %s", data["reason"])
        case "GUEST_PANICKED":
            logger.error("the guest panicked")
        # One that stops the VM is told by Recovery.
        case "BLOCK_IO_ERROR" if data.get("action") != "stop":
            logger.error("%s", io_error.of(data))
        case "STOP":
            logger.debug("the VM is paused")
        case _:
            logger.debug("QEMU: %s %s", name, dict(data))
