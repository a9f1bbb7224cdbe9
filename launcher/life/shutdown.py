"""Going down the shutdown ladder with a VM that runs."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

from launcher.host.errors import LauncherError
from launcher.host.process import Child
from launcher.life import agent
from launcher.life.ladder import AGENT_ANSWER, PRESS_AGAIN, Rung, harsher, schedule
from launcher.life.monitor import Monitor, MonitorLost

logger = logging.getLogger("startvm")


@dataclass(slots=True)
class Descent:
    """`ended` is set when QEMU has; `orders` gets an item for each further order to stop, which
    skips the rung that is being tried."""

    monitor: Monitor
    qemu: Child
    agent_socket: Path
    ended: asyncio.Event
    orders: "asyncio.Queue[None]"

    async def run(self, timeout: float) -> Rung:
        """Stop the VM within `timeout` seconds. Returns the rung that it took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        until = schedule(timeout)
        last = {Rung.AGENT: until.acpi, Rung.ACPI: until.quit, Rung.QUIT: until.kill}
        rung = Rung.AGENT
        while not self.ended.is_set():
            at = begun + last.get(rung, timeout)
            if await self._try(rung, at):
                await self._wait(at)
            if not self.ended.is_set() and rung is Rung.KILL:
                # Not even the kernel could end it in time; whoever waits for us will.
                logger.error("QEMU cannot be killed; is its storage hanging?")
                return rung
            if not self.ended.is_set():
                rung = harsher(rung)
        return rung

    async def _try(self, rung: Rung, until: float) -> bool:
        """Do what the rung says. False: it cannot help, so there is nothing to wait for."""
        try:
            async with asyncio.timeout_at(until):
                match rung:
                    case Rung.AGENT:
                        there = await agent.shut_down(self.agent_socket, AGENT_ANSWER)
                        if there:
                            logger.info("stopping: the guest agent shuts the guest down")
                        return there
                    case Rung.ACPI:
                        return await self._press(until)
                    case Rung.QUIT:
                        logger.warning("stopping: %s", rung.value)
                        await self.monitor.execute("quit")
                        return True
                    case Rung.KILL:
                        logger.error("stopping: %s", rung.value)
                        self.qemu.send(SIGKILL)
                        return True
        except TimeoutError:
            return False
        except MonitorLost:
            # QEMU is ending, or else the next rung finds out.
            return True
        except LauncherError as err:
            logger.warning("stopping: %s failed: %s", rung.value, err)
            return True

    async def _press(self, until: float) -> bool:
        """Press the power button until QEMU ends, time is up or another order comes."""
        loop = asyncio.get_running_loop()
        logger.info("stopping: %s", Rung.ACPI.value)
        while loop.time() < until:
            await self.monitor.execute("system_powerdown")
            if not await self._wait(min(until, loop.time() + PRESS_AGAIN)):
                break
        return False

    async def _wait(self, until: float) -> bool:
        """Wait for the end or an order; True when neither came before the time was up."""
        waits = {
            asyncio.ensure_future(self.ended.wait()),
            asyncio.ensure_future(self.orders.get()),
        }
        left = max(0.0, until - asyncio.get_running_loop().time())
        try:
            done, _ = await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return not done
