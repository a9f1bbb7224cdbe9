"""QEMU's monitor: QMP over the one end of a socket pair whose other end QEMU was born with."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from launcher.host.errors import LauncherError

if TYPE_CHECKING:
    from qemu.qmp import QMPClient


class MonitorLost(LauncherError):
    """QEMU closed its monitor: it has ended, or is about to."""


class Monitor:
    def __init__(self, client: "QMPClient") -> None:
        self._client = client

    async def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Run a QMP command and return what it returns.

        :raise LauncherError: when QEMU refuses it.
        :raise MonitorLost: when QEMU ends meanwhile.
        """
        from qemu.qmp import ExecInterruptedError, ExecuteError, StateError

        try:
            return await self._client.execute(command, dict(arguments or {}))
        except ExecuteError as err:
            raise LauncherError(f"QEMU refuses {command}: {err}") from err
        except (ExecInterruptedError, StateError) as err:
            raise MonitorLost(f"QEMU ended during {command}") from err

    async def events(self) -> AsyncIterator[Mapping[str, Any]]:
        """QEMU's events, each a QMP message, to the last one before it closes the monitor."""
        import asyncio

        closed = asyncio.ensure_future(self._client.runstate_changed())
        try:
            while not closed.done():
                event = asyncio.ensure_future(self._client.events.get())
                await asyncio.wait({event, closed}, return_when=asyncio.FIRST_COMPLETED)
                if event.done():
                    yield event.result()
                else:
                    event.cancel()
            # What arrived together with the end.
            for late in self._client.events.clear():
                yield late
        finally:
            closed.cancel()


@asynccontextmanager
async def connect(end: socket.socket) -> AsyncIterator[Monitor]:
    """Speak QMP over `end`. It is ours then, and closed with the context.

    :raise MonitorLost: when QEMU ends before it greets, as with arguments it does not know.
    """
    from qemu.qmp import ConnectError, QMPClient, QMPError

    client = QMPClient("berth")
    try:
        await client.connect(end)
    except ConnectError as err:
        raise MonitorLost("QEMU ended before its monitor was ready") from err
    try:
        yield Monitor(client)
    finally:
        # QEMU going first is how it should end.
        with suppress(QMPError, OSError, EOFError):
            await client.disconnect()
