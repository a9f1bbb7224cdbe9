"""The rules, the links and dnsmasq's configuration as texts, and what holds for all of them."""

from pathlib import Path

from launcher.net import dnsmasq
from launcher.net.describe import describe
from launcher.net.links import link_plan
from launcher.net.nat import iptables, nft
from launcher.net.nat.backend import Choice
from launcher.net.nat.plan import Chain, rules
from launcher.net.topology import Topology
from tests.conftest import Golden
from tests.unit.net.conftest import CASES, topology

RUN_DIR = Path("/run/berth")

Case = tuple[str, Topology]


def test_nft(golden: Golden, case: Case) -> None:
    name, network = case
    golden(f"net/{name}.nft", nft.render(rules(network)))


def test_iptables(golden: Golden, case: Case) -> None:
    name, network = case
    golden(f"net/{name}.iptables", "\n".join([*iptables.render(rules(network)), ""]))


def test_dnsmasq(golden: Golden, case: Case) -> None:
    name, network = case
    if network.needs_dnsmasq:
        golden(f"net/{name}.dnsmasq.conf", dnsmasq.config(network, RUN_DIR))


def test_links(golden: Golden) -> None:
    golden("net/default.links", "\n".join([*link_plan(CASES["default"]), ""]))


def test_dnsmasq_says_more_when_asked() -> None:
    lines = dnsmasq.config(CASES["default"], RUN_DIR, debug=True).splitlines()
    assert "log-dhcp" in lines
    assert "quiet-dhcp" not in lines


def test_the_description_is_what_would_be_done() -> None:
    network = CASES["pod-ports"]
    found = describe(network, Choice("nft", "a test"), RUN_DIR)
    assert found.nat == nft.render(rules(network))
    assert found.dnsmasq_conf == dnsmasq.config(network, RUN_DIR)
    assert found.dnsmasq_argv == ("dnsmasq", "--conf-file=/run/berth/dnsmasq.conf")
    other = describe(network, Choice("iptables", "a test"), RUN_DIR)
    assert other.nat.splitlines() == list(iptables.render(rules(network)))


def test_the_description_has_no_dnsmasq_where_none_is_needed() -> None:
    found = describe(topology(NO_DHCP="1"), Choice("nft", "a test"), RUN_DIR)
    assert (found.dnsmasq_conf, found.dnsmasq_argv) == ("", ())


def test_what_is_kept_is_decided_before_what_is_not(case: Case) -> None:
    for chain in (Chain.PREROUTING, Chain.OUTPUT):
        members = [rule for rule in rules(case[1]) if rule.chain is chain]
        for destination in {rule.destination for rule in members}:
            actions = [rule.action for rule in members if rule.destination == destination]
            assert actions.index("dnat") == len(actions) - 1


def test_chains_are_not_mixed(case: Case) -> None:
    # nft.render writes one block for each run of rules of one chain.
    chains = [rule.chain for rule in rules(case[1])]
    assert chains == sorted(chains, key=list(Chain).index)
