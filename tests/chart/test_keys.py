"""What is taken as a public key: all that OpenSSH does, and nothing with which nobody gets in."""

import pytest

from tests.chart.helm import KEY, NEWEST, OLDEST, Helm

HINT = (
    "which is no public key; accepted: lines as in authorized_keys, such as ssh-ed25519 and what "
    "ssh-keygen wrote after it (hint: --set-file sshKey=$HOME/.ssh/id_ed25519.pub reads them from "
    "a file)"
)
BLOB = KEY.split()[1]


def told(keys: str, helm: Helm = NEWEST) -> list[str]:
    return helm.refusal({"sshKey": keys})


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        f"ssh-ed25519 {BLOB}",
        f"ssh-ed25519\t{BLOB}\tme at home",
        f"ssh-rsa {BLOB}== me",
        f"ecdsa-sha2-nistp521 {BLOB}= me",
        f"sk-ssh-ed25519@openssh.com {BLOB}",
        f"ssh-rsa-cert-v01@openssh.com {BLOB} me",
        f'no-pty,permitopen="[::1]:80" {KEY}',
        f'command="echo \\"a b\\"",from="10.0.0.0/8,*.example.org"  {KEY}',
        f"# home\r\n\r\n  {KEY}\r\n",
    ],
)
@pytest.mark.parametrize("helm", [NEWEST, OLDEST], ids=lambda helm: helm.name)
def test_public_key(helm: Helm, key: str) -> None:
    assert helm.template({"sshKey": key}).of_kind("StatefulSet")


@pytest.mark.parametrize(
    "line",
    [
        "~/.ssh/id_ed25519.pub",
        "no",
        BLOB,
        "ssh-ed25519",
        "ssh-ed25519 AAAAC3Nz... me",
        "ssh-ed25519 me@home",
        "cert-authority ssh-ed25519",
        "SHA256:5rGhm4 me@home (ED25519)",
        "---- BEGIN SSH2 PUBLIC KEY ----",
    ],
)
@pytest.mark.parametrize("helm", [NEWEST, OLDEST], ids=lambda helm: helm.name)
def test_no_public_key(helm: Helm, line: str) -> None:
    shown = line if len(line) <= 40 else f"{line[:40]}..."
    assert told(f"{KEY}\n{line}\n", helm) == [f"- sshKey has {shown}, {HINT}"]


def test_a_key_that_is_broken_over_two_lines() -> None:
    broken = KEY.replace("LbBsX", "LbBsX\n")
    assert told(broken) == [f"- sshKey has YjbgfQRPLJj6s2Gs me@home, {HINT}"]


def test_the_inside_of_a_private_key_is_not_told() -> None:
    # PuTTY's, which does not say in its first line that it is one.
    putty = f"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n{BLOB}\n"
    assert told(putty) == [f"- sshKey has PuTTY-User-Key-File-3: ssh-ed25519, {HINT}"]
    pem = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BLOB}\n-----END OPENSSH PRIVATE KEY-----\n"
    assert told(pem) == [
        "- sshKey is a private key; set it to the public one, whose file ends in .pub"
    ]
