"""A plan as text for people and as data for machines. Pure."""

from dataclasses import asdict
from typing import Any

from launcher.life.plan import Plan
from launcher.machine.options import paste


def data(plan: Plan) -> dict[str, Any]:
    """For JSON: the fields of `Plan` under their names."""
    return asdict(plan)


def text(plan: Plan) -> str:
    """One section for each question that a reader may have."""
    parts = [
        section("accelerator", plan.accelerator),
        *([section("the user that QEMU and qemu-img run as", plan.user)] if plan.user else []),
        section("image", plan.image),
        section("pet", *plan.pet),
        section("network", plan.network),
        *([section("links", *plan.links)] if plan.links else []),
        *([section(f"address translation ({plan.nat_backend})", plan.nat)] if plan.nat else []),
        *(section(path, content) for path, content in plan.files.items()),
        *([section("DHCP and DNS", paste(plan.dnsmasq))] if plan.dnsmasq else []),
        section("QEMU (the launcher passes descriptors where names stand here)", paste(plan.qemu)),
    ]
    if plan.notices:
        parts.insert(0, section("worth knowing", *plan.notices))
    return "\n".join(parts)


def section(title: str, *lines: str) -> str:
    body = "\n".join(lines).rstrip("\n")
    return f"# {title}\n{body}\n"
