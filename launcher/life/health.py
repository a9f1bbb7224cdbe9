"""How a running VM is: QEMU's own word, and the guest agent's."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launcher.life import agent
from launcher.life.control import Arguments
from launcher.life.monitor import Monitor, MonitorLost
from launcher.life.state import State

# Seconds for QEMU's monitor to answer. It waits for nothing that the guest does, but for the
# storage, and for its turn on a busy machine.
MONITOR_ANSWER = 3.0
AGENT_ANSWER = 2.0


class Health:
    """`state` tells the phase as it is known here. `close` is for the end."""

    def __init__(self, monitor: Monitor, agent_socket: Path, state: Callable[[], State]) -> None:
        self._monitor = monitor
        self._agent_socket = agent_socket
        self._state = state
        self._question: asyncio.Task[Any] | None = None
        # QEMU serves one client of the agent at a time.
        self.agent_is_free = asyncio.Lock()

    async def status(self, arguments: Arguments) -> dict[str, Any]:
        """The control socket's command `status`.

        `qemu` is the run state that QEMU's monitor tells, null where it does not answer. `agent`
        tells whether the guest agent answers, null unless that was asked for.
        """
        qemu = await self._run_state()
        answers = await self._agent() if arguments.get("agent") and qemu == "running" else None
        return {**self._state()._asdict(), "qemu": qemu, "agent": answers}

    def close(self) -> None:
        if self._question:
            self._question.cancel()

    async def _run_state(self) -> str | None:
        """Asked once, however many want to know: a QEMU that hangs is not to be buried in
        questions, which it would have to answer all when it comes back."""
        if self._question is None or self._question.done():
            self._question = asyncio.ensure_future(self._monitor.execute("query-status"))
        done, _ = await asyncio.wait({self._question}, timeout=MONITOR_ANSWER)
        if not done:
            return None
        try:
            return str(self._question.result()["status"])
        except MonitorLost:
            return None

    async def _agent(self) -> bool:
        async with self.agent_is_free:
            return await agent.answers(self._agent_socket, AGENT_ANSWER)
