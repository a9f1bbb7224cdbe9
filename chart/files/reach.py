"""`helm test`: connect to the VMs as their clients do, by the names of their pods.

Arguments: seconds to try for, then one `host:port:greeting` for each thing to reach. The greeting
is what the other side has to say first; it may be empty.
"""

import socket
import sys
import time

# Seconds for one attempt, and between two.
PATIENCE = 10
PAUSE = 2


def attempt(host: str, port: int, greeting: bytes) -> str:
    """What the other side says first.

    :raise OSError: when it cannot be reached, or says something else.
    """
    with socket.create_connection((host, port), PATIENCE) as connection:
        if not greeting:
            return "connected"
        connection.settimeout(PATIENCE)
        said = b""
        while len(said) < len(greeting):
            received = connection.recv(256)
            if not received:
                break
            said += received
        if not said.startswith(greeting):
            raise OSError(f"it said {said[:60]!r} and not {greeting!r}")
        return said.partition(b"\n")[0].decode("ascii", "replace").strip()


def reach(host: str, port: int, greeting: bytes, deadline: float) -> bool:
    told = ""
    while True:
        try:
            said = attempt(host, port, greeting)
        except OSError as err:
            if str(err) != told:
                told = str(err)
                print(f"{host}:{port}: not yet: {told}", flush=True)
        else:
            print(f"{host}:{port}: {said}", flush=True)
            return True
        if time.monotonic() + PAUSE > deadline:
            print(f"{host}:{port}: given up; what the VM says: kubectl logs {host.split('.')[0]}")
            return False
        time.sleep(PAUSE)


def main(arguments: list[str]) -> int:
    if not arguments[1:]:
        print(
            "there is nothing to reach: no VM has replicas, or VNC is off, or kept by the network "
            "policy, and testPort is 0, does not come in, or is kept by the policy, too"
        )
        return 1
    deadline = time.monotonic() + int(arguments[0])
    reached = []
    for each in arguments[1:]:
        host, port, greeting = each.split(":")
        reached.append(reach(host, int(port), greeting.encode(), deadline))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
