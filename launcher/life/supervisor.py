"""QEMU from its first breath to its last: monitor, events, orders to stop, services beside it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIG_IGN, SIGINT, SIGTERM, signal
from socket import socket
from typing import Any

from launcher.host.process import Child
from launcher.life import state
from launcher.life.children import end_of, relay
from launcher.life.ladder import Rung
from launcher.life.monitor import Monitor, MonitorLost, connect
from launcher.life.outcome import End
from launcher.life.service import Service, keep
from launcher.life.shutdown import Descent
from launcher.life.state import Phase

logger = logging.getLogger("startvm")

# QEMU that closed its monitor, or was told to quit, ends within this time, or is killed. Seconds.
LAST_BREATH = 10.0


@dataclass(frozen=True, slots=True)
class Vm:
    """A QEMU that was started paused, with what belongs to it."""

    name: str
    qemu: Child
    monitor: socket
    agent_socket: Path
    run_dir: Path
    stop_timeout: float
    services: Sequence[Service] = ()


@dataclass(slots=True)
class Watch:
    """What has been seen so far."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)
    orders: "asyncio.Queue[None]" = field(default_factory=asyncio.Queue)
    stopping: bool = False
    reason: str | None = None


async def supervise(vm: Vm, prepare: Callable[[], None]) -> End:
    """Let the VM run, once `prepare` has made ready what it needs, until it has ended.

    `prepare` runs while QEMU initialises. What it raises is raised, and the VM never ran.
    """
    watch = Watch()
    loop = asyncio.get_running_loop()
    for number in (SIGTERM, SIGINT):
        loop.add_signal_handler(number, watch.orders.put_nowait, None)
    words = asyncio.ensure_future(relay(vm.qemu))
    ending = asyncio.ensure_future(end_of(vm.qemu))
    ending.add_done_callback(lambda _: watch.ended.set())
    services: list[asyncio.Task[None]] = []
    try:
        forced = False
        with suppress(MonitorLost):
            async with connect(vm.monitor) as monitor:
                logger.debug("the monitor answers")
                following = asyncio.ensure_future(follow(monitor, vm, watch))
                prepare()
                services += [asyncio.create_task(keep(each)) for each in vm.services]
                forced = await run(monitor, vm, watch)
                await following
        status = await last_breath(vm, ending)
        return End(status, watch.reason, watch.stopping, forced, await words)
    finally:
        for task in (*services, words, ending):
            task.cancel()
        await asyncio.gather(*services, words, ending, return_exceptions=True)
        for number in (SIGTERM, SIGINT):
            loop.remove_signal_handler(number)
            # The default action would cut the taking down short.
            signal(number, SIG_IGN)


async def run(monitor: Monitor, vm: Vm, watch: Watch) -> bool:
    """From `cont` to the end of QEMU. True if the guest had to be cut off."""
    if not watch.orders.empty():
        # Told to stop before the guest ran its first instruction: nothing to shut down.
        watch.stopping = True
        await monitor.execute("quit")
        await watch.ended.wait()
        return False
    await monitor.execute("cont")
    logger.info("%s is running", vm.name)
    order = asyncio.ensure_future(watch.orders.get())
    ended = asyncio.ensure_future(watch.ended.wait())
    await asyncio.wait({order, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not order.done():
        order.cancel()
        return False
    watch.stopping = True
    state.write(vm.run_dir, Phase.STOPPING)
    logger.info("told to stop; the guest has %g s", vm.stop_timeout)
    descent = Descent(monitor, vm.qemu, vm.agent_socket, watch.ended, watch.orders)
    rung = await descent.run(vm.stop_timeout)
    return rung in (Rung.QUIT, Rung.KILL)


async def last_breath(vm: Vm, ending: "asyncio.Future[int]") -> int:
    """QEMU's exit status; it is killed if it does not end although it should."""
    try:
        return await asyncio.wait_for(asyncio.shield(ending), LAST_BREATH)
    except TimeoutError:
        logger.error("QEMU closed its monitor but did not end; killing it")
        return vm.qemu.stop(grace=0)


async def follow(monitor: Monitor, vm: Vm, watch: Watch) -> None:
    """Log QEMU's events, and keep the state file and `watch` true."""
    async for event in monitor.events():
        name, data = event["event"], event.get("data", {})
        notice(name, data)
        match name:
            case "SHUTDOWN":
                watch.reason = data["reason"]
            case "RESUME" if not watch.stopping:
                state.write(vm.run_dir, Phase.RUNNING)
            case "STOP" if not watch.stopping and watch.reason is None:
                state.write(vm.run_dir, Phase.PAUSED)


def notice(name: str, data: Mapping[str, Any]) -> None:
    """One line for each event that a person would want to know of."""
    match name:
        case "RESET" if data.get("guest"):
            logger.info("the guest reboots")
        case "SHUTDOWN":
            logger.info("the VM is off: %s", data["reason"])
        case "GUEST_PANICKED":
            logger.error("the guest panicked")
        case "BLOCK_IO_ERROR":
            full = " (no space left)" if data.get("nospace") else ""
            why = data.get("reason", "unknown reason")
            logger.error(
                "disk %s: %s failed: %s%s", data["node-name"], data["operation"], why, full
            )
        case "STOP":
            logger.debug("the VM is paused")
        case _:
            logger.debug("QEMU: %s %s", name, dict(data))
