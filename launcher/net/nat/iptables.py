"""The plan in legacy iptables, through python-iptables, for kernels without nf_tables.

python-iptables speaks the legacy interface only. By itself it commits after every call and
swallows the kernel's answer, so here it never does: a table is read, changed in memory, committed
once, and read again to see whether the kernel has what we meant.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from launcher.host.errors import LauncherError, RightMissing
from launcher.net.nat.plan import Chain, Rule

if TYPE_CHECKING:
    from iptc import Table

logger = logging.getLogger("startvm")

# A rule as python-iptables' `easy` module writes it.
Spec = dict[str, object]

PREFIX = "BERTH-"
SYN_ONLY = ("FIN,SYN,RST,ACK", "SYN")
# The kernel says EAGAIN when somebody else changed the table between our reading and writing.
ATTEMPTS = 5


def render(rules: Iterable[Rule]) -> tuple[str, ...]:
    """The commands that would do what `apply` does (pure)."""
    rules = tuple(rules)
    lines = []
    for chain in dict.fromkeys(rule.chain for rule in rules):
        name = _name(chain)
        command = f"iptables-legacy -t {chain.kind}"
        verb = "-A" if _comes_after_others(chain) else "-I"
        lines += [f"{command} -N {name}", f"{command} {verb} {chain.hook.upper()} -j {name}"]
        lines += [f"{command} -A {name} {_words(rule)}" for rule in rules if rule.chain is chain]
    return tuple(lines)


def spec(rule: Rule) -> Spec:
    """One rule in python-iptables' words (pure): what it is told, and what it reads back."""
    found: Spec = {}
    if rule.source:
        found["src"] = _network(rule.source)
    if rule.destination:
        found["dst"] = _network(rule.destination)
    if rule.comes_by:
        found["in-interface"] = rule.comes_by
    if rule.leaves_by:
        found["out-interface"] = rule.leaves_by
    if rule.protocol:
        found["protocol"] = rule.protocol
    if rule.port:
        found[rule.protocol] = {"dport": str(rule.port)}
    if rule.is_midstream:
        found["tcp"] = {"tcp-flags": ["!", *SYN_ONLY]}
    if rule.is_reply:
        found["conntrack"] = {"ctdir": "REPLY"}
    target: dict[str, object] = {
        "leave": "RETURN",
        "drop": "DROP",
        "dnat": {"DNAT": {"to-destination": str(rule.to)}},
        "snat": {"SNAT": {"to-source": str(rule.to)}},
    }
    return found | {"target": target[rule.action]}


@contextmanager
def apply(rules: Sequence[Rule]) -> Iterator[None]:
    """Put the chains in force, and take them away at the end.

    :raise RightMissing: without NET_ADMIN.
    :raise LauncherError: when the kernel has no legacy tables, refuses the rules, or took
        something else than what it was given.
    """
    in_force: list[str] = []
    try:
        for kind in dict.fromkeys(rule.chain.kind for rule in rules):
            members = [rule for rule in rules if rule.chain.kind == kind]
            table = _replace(kind, members)
            in_force.append(kind)
            _compare(table, members)
        yield
    finally:
        for kind in reversed(in_force):
            try:
                _compare(_replace(kind, []), [])
            except LauncherError as err:
                logger.warning("the iptables chains in %s could not be removed: %s", kind, err)


def _replace(kind: str, rules: Sequence[Rule]) -> "Table":
    """Make our chains of one table hold `rules`, or vanish if there are none.

    Returns the table as the kernel has it then.
    """
    import iptc

    for left in reversed(range(ATTEMPTS)):
        try:
            table = iptc.Table(kind, autocommit=False)
            table.refresh()
            _remove(table)
            _insert(table, rules)
            table.commit()
            table.refresh()
            return table
        except iptc.IPTCError as err:
            if "Resource temporarily unavailable" not in str(err) or not left:
                raise _explained(kind, err) from err
            logger.debug("the table %s was changed by somebody else; again", kind)
    raise AssertionError("the last attempt returns or raises")


def _remove(table: "Table") -> None:
    ours = [chain for chain in table.chains if chain.name.startswith(PREFIX)]
    names = {chain.name for chain in ours}
    for chain in table.chains:
        if not chain.is_builtin():
            continue
        for rule in chain.rules:
            if rule.target.name in names:
                chain.delete_rule(rule)
    for chain in ours:
        chain.flush()
    for chain in ours:
        chain.delete()


def _insert(table: "Table", rules: Sequence[Rule]) -> None:
    import iptc
    from iptc import easy

    for chain in dict.fromkeys(rule.chain for rule in rules):
        ours = table.create_chain(_name(chain))
        for rule in rules:
            if rule.chain is chain:
                ours.append_rule(easy.encode_iptc_rule(spec(rule)))
        jump = easy.encode_iptc_rule({"target": ours.name})
        theirs = iptc.Chain(table, chain.hook.upper())
        if _comes_after_others(chain):
            theirs.append_rule(jump)
        else:
            theirs.insert_rule(jump)


def _compare(table: "Table", rules: Sequence[Rule]) -> None:
    from iptc import easy

    wanted: dict[str, list[Spec]] = {}
    for rule in rules:
        wanted.setdefault(_name(rule.chain), []).append(spec(rule))
    found: dict[str, list[Spec]] = {}
    jumps = []
    for chain in table.chains:
        read = [easy.decode_iptc_rule(rule) for rule in chain.rules]
        if chain.name.startswith(PREFIX):
            found[chain.name] = [_without_counters(each) for each in read]
        elif chain.is_builtin():
            jumps += [each["target"] for each in read if each.get("target") in wanted]
    if found != wanted or sorted(map(str, jumps)) != sorted(wanted):
        raise LauncherError(
            f"the iptables table {table.name} is not what it was made to be: somebody else "
            f"changes it, or the kernel did not take the rules: {found}, called by {jumps}"
        )


def _without_counters(read: Spec) -> Spec:
    return {key: value for key, value in read.items() if key != "counters"}


def _explained(kind: str, err: Exception) -> LauncherError:
    # libiptc's words come as bytes inside of the text: can't initialize nat: b'...'.
    words = re.sub(r"b['\"](.*)['\"]$", r"\1", str(err))
    if "ermission denied" in words or "not permitted" in words:
        return RightMissing(
            f"the iptables table {kind} may not be changed",
            # Of all backends, legacy iptables alone is spoken to through a raw socket.
            hint="the container needs the capabilities NET_ADMIN and NET_RAW",
        )
    if "Table does not exist" in words:
        return LauncherError(
            f"this kernel has no legacy iptables table {kind}, or has not loaded it",
            hint=f"load iptable_{kind} on the node, or use NAT_BACKEND=nft",
        )
    return LauncherError(f"iptables, table {kind}: {words}")


def _comes_after_others(chain: Chain) -> bool:
    """Guards come first, so that nobody accepts before them.

    Rewriting comes last, so that a service mesh has the traffic first.
    """
    return chain.kind == "nat"


def _name(chain: Chain) -> str:
    return PREFIX + chain.hook.upper()


def _network(value: object) -> str:
    return str(value) if "/" in str(value) else f"{value}/32"


def _words(rule: Rule) -> str:
    match = [
        f"-s {rule.source}" if rule.source else "",
        f"-d {rule.destination}" if rule.destination else "",
        f"-i {rule.comes_by}" if rule.comes_by else "",
        f"-o {rule.leaves_by}" if rule.leaves_by else "",
        f"-p {rule.protocol}" if rule.protocol else "",
        f"--dport {rule.port}" if rule.port else "",
        "! --syn" if rule.is_midstream else "",
        "-m conntrack --ctdir REPLY" if rule.is_reply else "",
    ]
    target = {
        "leave": "RETURN",
        "drop": "DROP",
        "dnat": f"DNAT --to-destination {rule.to}",
        "snat": f"SNAT --to-source {rule.to}",
    }[rule.action]
    return " ".join([word for word in match if word] + [f"-j {target}"])
