"""`python -m tests.storage.starting SECONDS`: pods that start one after the other.

What life.start does around a pet and its base, without the VM. qemu-img makes the pets; each is
deleted after a while. It ends with 1 as soon as one of them has no base.
"""

import logging
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from launcher.disk import leftover, pet, request
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.disk.plan import plan
from launcher.host.container import Container
from launcher.image import fetch
from launcher.image.format.qcow2 import header as spec
from launcher.image.store import bases, hiding, references
from launcher.life import pending
from launcher.life.needed import Need
from launcher.settings.load import Surroundings, load
from launcher.settings.table import Settings


def start(settings: Settings) -> Pet:
    """Do what each start of the VM does about its pet.

    :raise AssertionError: when the pet is there and its base is not.
    """
    shared, place = settings.shared_dir, Place(settings.pet_dir, settings.vm_name)
    hiding.recover(shared)
    asked = request.load(place)
    if asked:
        pending.carry_out(settings, asked, None)
    leftover.remove(place)
    found = pet.find(place)
    if found.record:
        base = bases.load(shared, found.record.base_digest)
        assert base, "the pet is there, and its base is not"
    else:
        base = bases.find(settings)
    planned = plan(settings, found, base)
    need = Need(shared, planned, settings.pod_namespace or "")
    with need.secured(lambda: fetch.ensure(settings)) as base:
        made = pet.apply(plan(settings, found, base, draw=lambda: planned.uuid))
    need.renew(base)
    return made


def stands(settings: Settings, shared: Path) -> None:
    found = pet.find(Place(settings.pet_dir, settings.vm_name))
    assert found.record
    base = bases.load(shared, found.record.base_digest)
    assert base, "its base is gone"
    assert spec.read(base.path).virtual_size == base.virtual_size


def main() -> int:
    logging.basicConfig(level="INFO", format="%(message)s")
    until = time.monotonic() + float(sys.argv[1])
    chance = random.Random(os.getpid())
    started = 0
    while time.monotonic() < until:
        folder = tempfile.mkdtemp(prefix="berth-pet-")
        try:
            settings = load(
                {**os.environ, "PET_DIR": folder}, Surroundings(Container(hostname="web-0"))
            )
            for _ in range(chance.randrange(1, 4)):
                start(settings)
                started += 1
                time.sleep(chance.random() / 10)
                stands(settings, settings.shared_dir)
            found = pet.find(Place(settings.pet_dir, settings.vm_name)).record
            assert found
            # Its owner deletes the pet, and says so.
            for each in references.read(settings.shared_dir, found.base_digest):
                if each.uuid == found.uuid:
                    references.remove(settings.shared_dir, each)
        finally:
            shutil.rmtree(folder)
        # Long enough that now and then nobody needs the base.
        time.sleep(chance.random() * 1.5)
    print(started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
