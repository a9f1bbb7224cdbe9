"""The plan as an nftables table of our own, replaced in one transaction."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from launcher.host import process
from launcher.host.errors import CommandFailed, LauncherError, RightMissing
from launcher.net.nat.plan import Chain, Rule

logger = logging.getLogger("startvm")

TABLE = "ip berth"

# Numbers, since nft 1.0.6 does not take `dstnat` in an output hook. Rewriting comes a little after
# the usual places (-100 and 100): a service mesh that redirects the pod's traffic to its proxy
# does so first, and what the proxy sends on comes to the VM.
PRIORITIES = {"prerouting": -95, "output": -95, "postrouting": 105}
FILTER_PRIORITY = 0


def render(rules: Iterable[Rule]) -> str:
    """The whole transaction, as `nft -f -` reads it.

    Adding the table before deleting it makes the deletion work when there was none (`destroy`
    would say the same, but nft 1.0.6 does not know it).
    """
    lines = [f"add table {TABLE}", f"delete table {TABLE}", f"table {TABLE} {{"]
    for chain, members in groupby(rules, key=lambda rule: rule.chain):
        lines += [f"\tchain {_name(chain)} {{", f"\t\t{_hook(chain)}"]
        lines += [f"\t\t{_rule(rule)}" for rule in members]
        lines += ["\t}"]
    return "\n".join([*lines, "}", ""])


@contextmanager
def apply(rules: Sequence[Rule]) -> Iterator[None]:
    """Put the table in force, and take it away at the end.

    :raise RightMissing: without NET_ADMIN.
    :raise LauncherError: when nft is missing or the kernel refuses the table, in nft's words.
    """
    _nft(["--file", "-"], render(rules))
    try:
        yield
    finally:
        try:
            _nft(["delete", "table", *TABLE.split()])
        except LauncherError as err:
            logger.warning("the nftables table %s could not be removed: %s", TABLE, err)


def check(rules: Sequence[Rule]) -> None:
    """Let the kernel judge the transaction without putting it in force.

    :raise LauncherError: as `apply`.
    """
    _nft(["--check", "--file", "-"], render(rules))


def _nft(arguments: Sequence[str], text: str = "") -> None:
    try:
        process.run(["nft", *arguments], stdin=text)
    except CommandFailed as err:
        if "Operation not permitted" in err.stderr:
            raise RightMissing(
                "nft may not change the pod's rules",
                hint="the container needs the capability NET_ADMIN",
            ) from err
        raise


def _name(chain: Chain) -> str:
    return chain.hook if chain.kind == "nat" else f"filter_{chain.hook}"


def _hook(chain: Chain) -> str:
    priority = PRIORITIES[chain.hook] if chain.kind == "nat" else FILTER_PRIORITY
    return f"type {chain.kind} hook {chain.hook} priority {priority}; policy accept;"


def _rule(rule: Rule) -> str:
    match = [
        f'iifname "{rule.comes_by}"' if rule.comes_by else "",
        f'oifname "{rule.leaves_by}"' if rule.leaves_by else "",
        f"ip saddr {rule.source}" if rule.source else "",
        f"ip daddr {rule.destination}" if rule.destination else "",
        "ct direction reply" if rule.is_reply else "",
        f"{rule.protocol} dport {rule.port}" if rule.port else "",
        "tcp flags & (fin | syn | rst | ack) != syn" if rule.is_midstream else "",
    ]
    verdict = {
        "leave": "return",
        "drop": "drop",
        "dnat": f"dnat to {rule.to}",
        "snat": f"snat to {rule.to}",
    }[rule.action]
    words = [word for word in match if word]
    return " ".join([*words, "counter", verdict, f'comment "{rule.why}"'])
