"""What Helm makes of the examples; tests/cluster/test_examples.py installs them."""

import re
from pathlib import Path

import pytest

from launcher.host.container import Container
from launcher.settings.load import Surroundings, load
from tests.chart.examples import FOLDER, Example, Mistake, examples, mistakes
from tests.chart.helm import (
    CHART,
    KEY,
    NEWEST,
    OLDEST,
    OLDEST_KUBERNETES,
    Helm,
    HelmError,
    Rendered,
)
from tests.chart.openapi import RELEASES, problems
from tests.guests.cache import folder

# What the oldest Kubernetes does not know yet of an example, whose comment says so.
NEWER = {"from-registry": "image"}

EXAMPLES = examples()
MISTAKES = mistakes()

both_helms = pytest.mark.parametrize("helm", [NEWEST, OLDEST], ids=lambda helm: helm.name)
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of a user who runs the commands in a checkout."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519.pub").write_text(KEY + "\n", encoding="utf-8")
    # Where Helm itself is kept.
    monkeypatch.setenv("BERTH_CACHE", str(folder()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(FOLDER.parent)
    return tmp_path


def rendered(helm: Helm, example: Example) -> Rendered:
    """What the example's last command would install."""
    options = ("--kube-version", OLDEST_KUBERNETES, *example.options)
    return Rendered(helm.run("template", example.release, "./chart", *options))


@both_helms
@each_example
@pytest.mark.usefixtures("home")
def test_example(helm: Helm, example: Example) -> None:
    made = rendered(helm, example)
    vms = [each["metadata"]["name"] for each in made.of_kind("StatefulSet")]
    assert vms
    for vm in vms:
        # The launcher takes it.
        settings = load(made.environment(vm), Surroundings(Container(hostname=f"{vm}-0")))
        assert settings.vm_name == f"{vm}-0"


@each_example
@pytest.mark.usefixtures("home")
def test_its_objects_are_known_to_kubernetes(example: Example) -> None:
    for manifest in rendered(NEWEST, example).objects:
        for release in RELEASES:
            found = problems(release, manifest)
            if release != max(RELEASES) and (field := NEWER.get(example.name)):
                found = [each for each in found if f"('{field}' was unexpected)" not in each]
            assert found == [], (release, manifest["metadata"]["name"])


@each_example
def test_its_commands_are_of_this_checkout(example: Example) -> None:
    assert f"examples/{example.path.name}" in example.options
    for word in re.findall(r"(?<![\w/])(?:examples|chart)/[\w./-]+", example.comment):
        assert (FOLDER.parent / word).exists(), word


@pytest.mark.usefixtures("home")
def test_the_device_plugin_s_resource_is_asked_for() -> None:
    # On the cluster of the tests no node offers one.
    example = next(each for each in EXAMPLES if each.name == "device-plugin")
    limits = rendered(NEWEST, example).container()["resources"]["limits"]
    assert limits["devices.kubevirt.io/kvm"] == 1


def refusal(helm: Helm, mistake: Mistake) -> list[str]:
    """Each problem that is named, without what surrounds them."""
    options = ("--values", str(mistake.path), "--kube-version", OLDEST_KUBERNETES)
    with pytest.raises(HelmError) as caught:
        helm.run("template", "vm", str(CHART), *options)
    lines = [line.strip() for line in str(caught.value).splitlines()]
    return [line.removeprefix("- ") for line in lines if line.startswith("- ")]


@both_helms
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.path.stem)
def test_mistake(helm: Helm, mistake: Mistake) -> None:
    told = refusal(helm, mistake)
    message = mistake.message(helm.name)
    assert message in told
    # Nothing else is wrong with it; a schema of alternatives names each.
    assert len(told) == 1 or "'oneOf' failed" in told[0] or "anyOf" in told[0] or "oneOf" in told[0]


def test_each_mistake_has_a_message_of_its_own() -> None:
    messages = [mistake.message("helm") for mistake in MISTAKES]
    assert len(set(messages)) == len(messages)


def test_each_message_of_the_chart_has_a_mistake() -> None:
    template = (CHART / "templates/_validate.tpl").read_text("utf-8")
    told = "\n".join(mistake.message("helm") for mistake in MISTAKES)
    lines = re.findall(r"^- (.*)$", template, re.MULTILINE)
    assert lines
    patterns = {
        line: ".*".join(re.escape(part) for part in re.split(r"\{\{.*?\}\}", line))
        for line in lines
    }
    found = {line for line in lines if re.search(f"(^|: ){patterns[line]}$", told, re.MULTILINE)}
    assert set(lines) - found == set()


def test_every_file_is_in_the_readme() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    files = [path for path in FOLDER.iterdir() if path.is_file() and path.name != "README.md"]
    assert {path.name for path in files} == set(re.findall(r"^\| \[([^]]+)\]", readme, re.M))
    for name, target in re.findall(r"\[([^]]+)\]\(([^)#:]+)\)", readme):
        assert (FOLDER / target).exists(), name
