"""What people read after `helm install`."""

import re

from tests.chart.helm import KEY, NEWEST
from tests.chart.scenarios import ONE_VOLUME, RESTRICTED, SEVERAL
from tests.conftest import Golden

PUBLIC = {"sshKey": KEY}


def test_default(golden: Golden) -> None:
    golden("chart/default.notes", NEWEST.notes(PUBLIC))


def test_several_in_a_namespace(golden: Golden) -> None:
    golden("chart/several.notes", NEWEST.notes(SEVERAL, release="farm", namespace="vms"))


def test_restricted_says_what_comes_in() -> None:
    assert "comes in   tcp::22-:22, tcp::8080-:8080; nothing else" in NEWEST.notes(RESTRICTED)


def test_ssh_is_told_where_it_comes_in() -> None:
    user = {**PUBLIC, "network": {"mode": "user", "hostfwd": ["tcp::2200-:22"]}}
    notes = NEWEST.notes(user)
    assert "ssh -p 2200 root@web-0.web" in notes
    assert "port-forward web-0 2222:2200" in notes
    user["network"] = {"mode": "user", "hostfwd": ["tcp::80-:80"]}
    assert "ssh" not in NEWEST.notes(user).replace("sshKey", "")


def test_emulation_is_told_with_the_line_that_ends_it() -> None:
    line = "helm -n vms upgrade web CHART --reuse-values --set kvm=privileged"
    assert line in NEWEST.notes(PUBLIC, namespace="vms")
    off = NEWEST.notes({**PUBLIC, "kvm": "off"})
    assert "NO HARDWARE VIRTUALISATION for web: kvm is off" in off
    assert "NO HARDWARE" not in NEWEST.notes({**PUBLIC, "kvm": "squat.ai/kvm"})
    # Where the chart itself would refuse it.
    restricted = NEWEST.notes(RESTRICTED)
    assert "upgrade again with kvm=auto.\n***" in restricted
    assert "privileged" not in restricted


def test_one_node_is_told_only_where_it_is_so() -> None:
    several = {**PUBLIC, "replicas": 2}
    assert "shared.accessMode: ReadWriteMany" in NEWEST.notes(several)
    for other in (
        PUBLIC,
        {**several, "shared": {"accessMode": "ReadWriteMany"}},
        {**several, "shared": {"enabled": False}},
        {**several, "shared": {"existingClaim": "mine"}},
    ):
        assert "one node" not in NEWEST.notes(other)


def test_unchecked_image_and_open_screen_are_told() -> None:
    source = {**PUBLIC, "image": {"source": "http://images.example/a.img"}}
    assert "The image of web is used unchecked" in NEWEST.notes(source)
    assert "unchecked" not in NEWEST.notes(PUBLIC)
    assert "no password" in NEWEST.notes({**PUBLIC, "vnc": {"open": True}})
    assert "no password" not in NEWEST.notes(PUBLIC)


def test_screen_is_not_told_where_there_is_none() -> None:
    assert "5900" not in NEWEST.notes(ONE_VOLUME)


def test_what_stays_is_told() -> None:
    # Helm names what has its keep policy, and so the shared claim alone.
    silent = "Helm itself will say nothing of the disks."
    selector = "app.kubernetes.io/name=berth,app.kubernetes.io/instance=web"
    notes = NEWEST.notes(PUBLIC, namespace="vms")
    assert "\nhelm -n vms uninstall web keeps the images and the VMs' disks: installing" in notes
    assert f"finds them again. {silent}\n" in notes
    assert f"\nTo see what is kept: kubectl -n vms get pvc -l {selector}\n" in notes
    assert f"\nTo delete them: kubectl -n vms delete pvc -l {selector}\n" in f"{notes}\n"
    notes = NEWEST.notes(ONE_VOLUME)
    assert "\nhelm uninstall web keeps the VMs' disks: " in notes
    assert silent in notes
    no_disks = {**PUBLIC, "pet": {"whenDeleted": "Delete"}}
    notes = NEWEST.notes(no_disks)
    assert "\nhelm uninstall web keeps the images: " in notes
    assert silent not in notes
    nothing = {**no_disks, "shared": {"existingClaim": "a"}}
    assert "uninstall" not in NEWEST.notes(nothing)


def test_helm_test_is_told_only_where_it_tests_something() -> None:
    assert "helm test web" in NEWEST.notes(PUBLIC)
    for nothing in ({"replicas": 0}, {"testPort": 0, "vnc": {"enabled": False}}):
        assert "helm test" not in NEWEST.notes({**PUBLIC, **nothing})


def test_no_placeholder_is_left() -> None:
    for values in (PUBLIC, SEVERAL, RESTRICTED):
        assert not re.search(r"<no value>|%!|nil", NEWEST.notes(values))


def test_waiting_works_with_each_update_strategy() -> None:
    # kubectl: "rollout status is only available for RollingUpdate strategy type".
    on_delete = NEWEST.notes({**PUBLIC, "updateStrategy": "OnDelete"})
    assert "rollout" not in on_delete
    assert "kubectl wait pod/web-0 --for=condition=Ready" in on_delete
