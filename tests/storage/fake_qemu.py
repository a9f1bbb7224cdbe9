"""A program that speaks as much QMP as the supervisor hears, and does what its script says.

usage: fake_qemu.py FD SCRIPT

FD is the inherited end of a socket pair. SCRIPT is a JSON object: for "start" and for the name of
each command a list of steps, done in turn after the command was answered. A step is

    ["event", NAME, DATA]   ["say", TEXT] on stderr   ["note", FILE, TEXT] appended to a file
    ["signal", NUMBER] to the program that started this one   ["die", NUMBER] of a signal
    ["exit", STATUS]   ["close"] the monitor   ["mute"] neither answer nor do anything any more
    ["flood", COUNT] characters on stderr, without the end of a line
    ["return", VALUE] in the place of an empty answer, if it is the first step

What the script does not name is done as QEMU does: `quit` ends, `cont` resumes.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

USUAL: dict[str, list[list[Any]]] = {
    "cont": [["event", "RESUME", {}]],
    "system_powerdown": [["event", "POWERDOWN", {}]],
    "quit": [["event", "SHUTDOWN", {"guest": False, "reason": "host-qmp-quit"}], ["exit", 0]],
}
GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}, "capabilities": []}}


class Fake:
    def __init__(self, monitor: socket.socket, script: dict[str, list[list[Any]]]) -> None:
        self.monitor = monitor
        self.script = USUAL | script
        self.mute = False

    def send(self, message: dict[str, Any]) -> None:
        self.monitor.sendall(json.dumps(message).encode() + b"\r\n")

    def do(self, moment: str) -> None:
        for name, *values in self.script.get(moment, []):
            getattr(self, f"do_{name}")(*values)

    def do_event(self, name: str, data: dict[str, Any]) -> None:
        stamp = {"seconds": 1, "microseconds": 0}
        self.send({"event": name, "data": data, "timestamp": stamp})

    def do_say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def do_flood(self, count: int) -> None:
        sys.stderr.write("x" * count)
        sys.stderr.flush()

    def do_note(self, file: str, text: str) -> None:
        with open(file, "a") as notes:  # noqa: PTH123 - pathlib costs a start 10 ms
            notes.write(text)

    def do_signal(self, number: int) -> None:
        os.kill(os.getppid(), number)

    def do_die(self, number: int) -> None:
        os.kill(os.getpid(), number)
        signal.pause()

    def do_exit(self, status: int) -> None:
        sys.stderr.flush()
        os._exit(status)

    def do_close(self) -> None:
        self.monitor.shutdown(socket.SHUT_RDWR)
        signal.pause()

    def do_mute(self) -> None:
        self.mute = True

    def do_return(self, value: dict[str, Any]) -> None:
        """Done already: it is the answer."""

    def answer(self, command: str) -> dict[str, Any]:
        steps = self.script.get(command, [])
        return {"return": steps[0][1] if steps and steps[0][0] == "return" else {}}

    def commands(self) -> Iterator[dict[str, Any]]:
        """Commands may follow each other without anything in between."""
        text, decoder = "", json.JSONDecoder()
        while received := self.monitor.recv(65536):
            text += received.decode()
            with suppress(json.JSONDecodeError):
                while text:
                    command, end = decoder.raw_decode(text)
                    text = text[end:].lstrip()
                    yield command

    def serve(self) -> None:
        self.do("start")
        if not self.mute:
            self.send(GREETING)
        for command in self.commands():
            if self.mute:
                continue
            answer = self.answer(command["execute"])
            self.send(answer | ({"id": command["id"]} if "id" in command else {}))
            self.do(command["execute"])


if __name__ == "__main__":
    Fake(socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])).serve()
