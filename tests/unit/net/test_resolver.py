from ipaddress import IPv4Address, IPv6Address

import pytest

from launcher.net.resolver import Resolver, parse

V4 = IPv4Address


def test_what_kubelet_writes() -> None:
    found = parse(
        "search default.svc.cluster.local svc.cluster.local cluster.local\n"
        "nameserver 10.96.0.10\n"
        "options ndots:5\n"
    )
    assert found == Resolver(
        nameservers=(V4("10.96.0.10"),),
        search=("default.svc.cluster.local", "svc.cluster.local", "cluster.local"),
    )


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing\n; nothing either\n", "nameserver\nsearch\n"]
)
def test_nothing(text: str) -> None:
    assert parse(text) == Resolver()


def test_more_servers_than_glibc_asks_and_each_once() -> None:
    text = "".join(f"nameserver 10.0.0.{number}\n" for number in (1, 2, 3, 4, 2))
    assert parse(text).nameservers == tuple(V4(f"10.0.0.{number}") for number in (1, 2, 3, 4))


def test_ipv6_servers_with_and_without_a_scope() -> None:
    found = parse("nameserver fd00::53\nnameserver fe80::1%eth0\nnameserver 10.0.0.1\n")
    assert found.nameservers == (
        IPv6Address("fd00::53"),
        IPv6Address("fe80::1%eth0"),
        V4("10.0.0.1"),
    )


def test_words_that_are_no_address_are_told() -> None:
    found = parse("nameserver 10.0.0.300\nnameserver localhost\nnameserver 10.0.0.3\n")
    assert found == Resolver(nameservers=(V4("10.0.0.3"),), ignored=("10.0.0.300", "localhost"))


def test_the_last_search_line_counts_and_domain_is_one_of_them() -> None:
    assert parse("search a.example b.example\ndomain c.example\n").search == ("c.example",)
    assert parse("domain c.example\nsearch a.example b.example\n").search == (
        "a.example",
        "b.example",
    )


def test_dots_at_the_end_go_and_the_root_with_them() -> None:
    assert parse("search svc.cluster.local. . b.example.\n").search == (
        "svc.cluster.local",
        "b.example",
    )


def test_comments_and_tabs() -> None:
    found = parse("nameserver\t10.0.0.1 # the first\nsearch\ta.example ; and so on\n")
    assert found == Resolver(nameservers=(V4("10.0.0.1"),), search=("a.example",))


@pytest.mark.parametrize("word", ["a,b", 'a"b', "a..b", "-a.b", "a\\b", "ä.example"])
def test_what_would_break_out_of_a_configuration_line_is_no_domain(word: str) -> None:
    assert parse(f"search {word} fine_1.example\n") == Resolver(
        search=("fine_1.example",), ignored=(word,)
    )
