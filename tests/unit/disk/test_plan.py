"""Every state the pet's volume can be in, and what is decided about it."""

from pathlib import Path

import pytest

from launcher.disk.plan import Found, PetPlan, plan
from launcher.host.errors import ImageRefused, InputMissing, LauncherError, SettingsError
from launcher.image.base import Base
from launcher.image.format.qcow2.header import CORRUPT, DATA_FILE
from launcher.image.store.record import Address
from tests.unit.disk.sample import DIGEST, GIB, URL, UUID, base, header, record, settings

OTHER_UUID = "99999999-8888-4777-a666-555555555555"


def decide(found: Found, *, wanted_uuid: str | None = None, **environ: str) -> PetPlan:
    return plan(
        settings(**environ), found, base(), wanted_uuid=wanted_uuid, draw=lambda: OTHER_UUID
    )


USED = Found(record(), header())


def test_nothing_there_is_made() -> None:
    made = decide(Found())
    assert (made.action, made.uuid, made.size) == ("create", OTHER_UUID, 2 * GIB)
    assert made.mac == "06:fe:9f:11:eb:4e"
    assert made.source == Address(URL)
    assert made.words() == (
        f"make the pet /pet/web-3.qcow2 of 2.0 GiB on /shared/sha256-{DIGEST}.qcow2",
    )


def test_new_pet_gets_the_size_and_uuid_that_are_wanted() -> None:
    made = decide(Found(), wanted_uuid=UUID, VM_DISK_SIZE="10G")
    assert (made.uuid, made.size) == (UUID, 10 * GIB)


def test_new_pet_can_be_shown_before_its_base_is_fetched() -> None:
    shown = plan(settings(), Found(), None, draw=lambda: UUID)
    assert shown.words() == ("make the pet /pet/web-3.qcow2 on the base, once it is fetched",)


def test_leftover_without_record_is_made_anew() -> None:
    assert decide(Found(leftover=True)).action == "create"


def test_leftover_with_record_is_finished() -> None:
    found = Found(record(), None, header(), leftover=True)
    finished = decide(found)
    assert (finished.action, finished.uuid, finished.size) == ("finish", UUID, 10 * GIB)
    assert finished.words() == ("finish the pet /pet/web-3.qcow2, which was left half made",)


def test_finished_pet_grows_too() -> None:
    found = Found(record(), None, header(), leftover=True)
    assert decide(found, VM_DISK_SIZE="12G").grow_from == 10 * GIB


def test_pet_is_used_as_it_is() -> None:
    used = decide(USED)
    assert (used.action, used.uuid, used.mac) == ("use", UUID, "06:fe:01:02:03:04")
    assert (used.size, used.grow_from, used.notices) == (10 * GIB, None, ())


@pytest.mark.parametrize(
    ("wanted", "size", "grow_from"),
    [
        ("10G", 10 * GIB, None),
        ("11G", 11 * GIB, 10 * GIB),
        # qemu-img rounds up to sectors, so the same setting must not look larger, or the pet
        # made with it smaller, at the next start.
        (str(10 * GIB - 511), 10 * GIB, None),
        (str(10 * GIB + 1), 10 * GIB + 512, 10 * GIB),
    ],
)
def test_pet_grows_to_the_size_wanted(wanted: str, size: int, grow_from: int | None) -> None:
    used = decide(USED, VM_DISK_SIZE=wanted)
    assert (used.size, used.grow_from) == (size, grow_from)


def test_growth_is_told() -> None:
    assert decide(USED, VM_DISK_SIZE="11G").words() == (
        "use the pet /pet/web-3.qcow2",
        "grow it from 10.0 GiB to 11.0 GiB",
    )


@pytest.mark.parametrize("size", [GIB, 2 * GIB - 512], ids=["by much", "by a sector"])
def test_an_image_that_has_no_room_is_refused_with_both_sizes(size: int) -> None:
    with pytest.raises(SettingsError) as error:
        decide(Found(), VM_DISK_SIZE=str(size))
    (problem,) = error.value.problems
    assert problem.startswith(f"VM_DISK_SIZE is {size} bytes ")
    assert f"has {2 * GIB} bytes " in problem
    assert f"accepted: {2 * GIB} bytes or more" in problem


SMALLER = pytest.mark.parametrize("wanted", [GIB, 10 * GIB - 512], ids=["by much", "by a sector"])


@SMALLER
@pytest.mark.parametrize("found", [USED, Found(record(), None, header(), leftover=True)])
def test_a_pet_that_is_larger_is_refused_with_both_sizes(wanted: int, found: Found) -> None:
    with pytest.raises(SettingsError) as error:
        decide(found, VM_DISK_SIZE=str(wanted))
    (problem,) = error.value.problems
    assert problem.startswith(f"VM_DISK_SIZE is {wanted} bytes ")
    assert f"the pet's disk has {10 * GIB} bytes (10.0 GiB)" in problem
    assert f"accepted: {10 * GIB} bytes or more, or nothing" in problem


@SMALLER
def test_or_stays_so_and_it_is_told(wanted: int) -> None:
    used = decide(USED, VM_DISK_SIZE=str(wanted), ON_SMALLER_SIZE="keep")
    assert (used.action, used.size, used.grow_from) == ("use", 10 * GIB, None)
    (notice,) = used.notices
    assert notice.startswith(f"VM_DISK_SIZE is {wanted} bytes ")
    assert f"the disk keeps its {10 * GIB} bytes (10.0 GiB)" in notice
    assert f"set VM_DISK_SIZE to {10 * GIB} or more, or to nothing" in notice


def test_what_is_said_of_a_larger_pet_helps() -> None:
    for size in (str(10 * GIB), ""):
        assert decide(USED, VM_DISK_SIZE=size).notices == ()


def test_a_wrong_uuid_and_a_wrong_size_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        decide(USED, wanted_uuid=OTHER_UUID, VM_DISK_SIZE="1G")
    assert len(error.value.problems) == 2


def test_uuid_of_a_pet_does_not_change() -> None:
    assert decide(USED, wanted_uuid=UUID).uuid == UUID
    with pytest.raises(SettingsError) as error:
        decide(USED, wanted_uuid=OTHER_UUID)
    assert OTHER_UUID in str(error.value)
    assert UUID in str(error.value)


REFUSALS: list[tuple[str, Found, Base | None, type[LauncherError], list[str]]] = [
    (
        "disk gone",
        Found(record()),
        base(),
        InputMissing,
        ["/pet/web-3.qcow2 is gone", "web-3.json", "remove the record"],
    ),
    (
        "record gone",
        Found(None, header()),
        base(),
        InputMissing,
        ["/pet/web-3.qcow2", "without its record web-3.json", "left alone"],
    ),
    (
        "base gone",
        USED,
        None,
        InputMissing,
        [str(base().path), DIGEST, "is gone", URL],
    ),
    (
        "base of another digest",
        USED,
        base(digest="cd" * 32),
        ImageRefused,
        ["cd" * 32, DIGEST, str(base().path)],
    ),
    (
        "base replaced",
        USED,
        base(size=300_000_001),
        ImageRefused,
        ["300000001 bytes", "300000000"],
    ),
    (
        "base moved",
        USED,
        base(path=Path("/image/x.qcow2")),
        ImageRefused,
        ["/image/x.qcow2", str(base().path), "mount the shared volume"],
    ),
    (
        "disk on another base",
        Found(record(), header(backing="/etc/shadow")),
        base(),
        ImageRefused,
        ["/etc/shadow", str(base().path)],
    ),
    (
        "disk on no base",
        Found(record(), header(backing="")),
        base(),
        ImageRefused,
        ["stands on nothing"],
    ),
    (
        "base taken for raw",
        Found(record(), header(backing_format="raw")),
        base(),
        ImageRefused,
        ["format raw", "format qcow2"],
    ),
    (
        "data elsewhere",
        Found(record(), header(incompatible=DATA_FILE)),
        base(),
        ImageRefused,
        ["in another file"],
    ),
    (
        "corrupt",
        Found(record(), header(incompatible=CORRUPT)),
        base(),
        ImageRefused,
        ["marked as corrupt"],
    ),
    (
        "disk under way on another base",
        Found(record(), None, header(backing="/etc/shadow"), leftover=True),
        base(),
        ImageRefused,
        ["/pet/web-3.qcow2.new", "/etc/shadow"],
    ),
]


@pytest.mark.parametrize(
    ("found", "on", "kind", "facts"),
    [each[1:] for each in REFUSALS],
    ids=[each[0] for each in REFUSALS],
)
def test_refused(
    found: Found, on: Base | None, kind: type[LauncherError], facts: list[str]
) -> None:
    with pytest.raises(kind) as error:
        plan(settings(), found, on)
    for fact in facts:
        assert fact in str(error.value)


@pytest.mark.parametrize(
    ("made_of", "now", "words"),
    [
        (URL, URL, ""),
        (URL, "https://example.org/new.qcow2", "IMG_SOURCE is https://example.org/new.qcow2 now"),
        (URL + "?token=a", URL + "?token=a", ""),
        (URL + "?token=a", URL + "?token=b", "with other credentials"),
        ("debian.qcow2", URL, f"IMG_SOURCE is {URL} now"),
    ],
    ids=["same", "other", "same secret", "other secret", "named before"],
)
def test_changed_source_keeps_the_pet_and_is_told(made_of: str, now: str, words: str) -> None:
    found = Found(record(source=Address.of(made_of)), header())
    used = decide(found, IMG_SOURCE=now)
    assert used.action == "use"
    assert len(used.notices) == bool(words)
    assert words in "".join(used.notices)
    assert "token" not in "".join(used.notices)


def test_no_source_is_no_change() -> None:
    assert decide(USED, IMG_SOURCE="", IMG_TARGET="debian.qcow2").notices == ()
