"""The control socket: where a running startvm is asked what only it knows.

One request and one answer, each a line of JSON, for each connection::

    {"command": "status", "arguments": {"agent": true}}
    {"return": {...}}    or    {"error": {"message": "...", "hint": "...", "code": 75}}

`code` is the exit code of that failure. A command may hold something for its client, for as long as
the connection stays open after the answer.

It listens from before the image is fetched until the process ends, so that one who can connect
knows that startvm is there; it is answered while the VM is being watched.
"""

import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from socket import AF_UNIX, socket
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.host.errors import InputMissing, LauncherError, by_code

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("startvm")

Arguments = Mapping[str, Any]


class Held(NamedTuple):
    """An answer, and what is to be done when the client that got it has gone."""

    answer: Any
    release: Callable[[], Awaitable[None]]


Command = Callable[[Arguments], Awaitable[Any]]

# Bytes; ours have a few dozen.
LONGEST_REQUEST = 64 * 1024
# Seconds for a client to say what it wants.
PATIENCE = 5.0


def path(run_dir: Path) -> Path:
    return run_dir / "control.sock"


async def serve(door: socket, commands: Mapping[str, Command]) -> None:
    """Answer on the listening socket `door`, which stays its owner's, until cancelled."""
    import asyncio

    clients: set[asyncio.Task[Any]] = set()

    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(answer(reader, writer))
        clients.add(task)
        task.add_done_callback(clients.discard)
        # And not in the task itself: one that is cancelled before its first step does nothing.
        task.add_done_callback(lambda _: writer.close())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                request = await reader.readline()
            # Whoever only looks whether there is anybody says nothing.
            if request:
                await _serve_one(request, commands, reader, writer)
        except (OSError, TimeoutError, ValueError) as err:
            logger.debug("a client of the control socket: %r", err)

    server = await asyncio.start_unix_server(
        greet,
        sock=door.dup(),
        limit=LONGEST_REQUEST,
        # Starting right here would be a moment at which cancelling us leaves the socket open.
        start_serving=False,
    )
    try:
        await server.start_serving()
        await asyncio.Event().wait()
    finally:
        # Whom the loop has just accepted takes two turns to get here, and asyncio would forget to
        # close who comes after the server was closed.
        asyncio.get_running_loop().remove_reader(server.sockets[0].fileno())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        server.close()
        # By itself it would wait for a client that something is held for.
        for each in clients:
            each.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _serve_one(
    request: bytes,
    commands: Mapping[str, Command],
    reader: "asyncio.StreamReader",
    writer: "asyncio.StreamWriter",
) -> None:
    answer, release = await _answer(request, commands)
    try:
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        if release:
            await reader.read()
    finally:
        if release:
            await release()


async def _answer(
    request: bytes, commands: Mapping[str, Command]
) -> tuple[dict[str, Any], Callable[[], Awaitable[None]] | None]:
    try:
        words = json.loads(request)
        if not isinstance(words, dict) or words.get("command") not in commands:
            raise ValueError(request.decode())
        returned = await commands[words["command"]](words.get("arguments") or {})
    except LauncherError as err:
        return {"error": {"message": err.message, "hint": err.hint, "code": err.exit_code}}, None
    except (ValueError, RecursionError) as err:
        message = f"the request is not understood: {err!r}"
        return {"error": {"message": message, "hint": "", "code": os.EX_SOFTWARE}}, None
    if isinstance(returned, Held):
        return {"return": returned.answer}, returned.release
    return {"return": returned}, None


class Silent(LauncherError):
    """startvm is there, and does not answer."""


class Line:
    """One connection to startvm. A context manager; it is there for as long as this is open."""

    def __init__(self, run_dir: Path, timeout: float) -> None:
        """:raise InputMissing: when no startvm runs there."""
        self._end = socket(AF_UNIX)
        # Not waiting: a queue that is full has an owner, too.
        self._end.setblocking(False)
        self._timeout = timeout
        self._is_open = True
        try:
            self._end.connect(str(path(run_dir)))
        except BlockingIOError:
            self._is_open = False
        except OSError as err:
            self._end.close()
            raise InputMissing(
                f"startvm does not run here: {path(run_dir)} does not answer ({err.strerror})"
            ) from err

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def ask(self, command: str, **arguments: object) -> Any:
        """Have `command` done, and return what it returns.

        :raise Silent: when there is no answer in time.
        :raise LauncherError: with startvm's own words otherwise.
        """
        request = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
        self._end.settimeout(self._timeout)
        try:
            if not self._is_open:
                raise TimeoutError
            self._end.sendall(request)
            with self._end.makefile("rb") as answers:
                line = answers.readline()
        except OSError as err:
            how = "in time" if isinstance(err, TimeoutError) else f"({err.strerror})"
            raise Silent(f"startvm does not answer {how}") from err
        if not line:
            raise Silent("startvm is ending")
        answer = json.loads(line)
        if error := answer.get("error"):
            raise by_code(error["code"])(error["message"], hint=error["hint"])
        return answer["return"]
