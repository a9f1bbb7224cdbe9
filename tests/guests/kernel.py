"""A kernel package that was unpacked: its image, and just the modules that are asked for."""

import lzma
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kernel:
    """A Linux kernel as Debian packages it."""

    version: str
    image: Path
    modules: Path
    """Folder of its modules."""

    @classmethod
    def under(cls, tree: Path) -> "Kernel":
        """The only kernel in a tree that is merged below ``usr``.

        :raise ValueError: when there are several or none.
        """
        (image,) = tree.glob("boot/vmlinuz-*")
        version = image.name.removeprefix("vmlinuz-")
        return cls(version, image, tree / "usr/lib/modules" / version)


def copy_modules(kernel: Kernel, names: Iterable[str], folder: Path) -> dict[str, list[str]]:
    """Copy modules, and those that they need, into ``folder`` as ``<name>.ko``.

    Returns what each copied module needs, nearest first. What is built into the kernel is neither
    copied nor mentioned, so that one list of names suits kernels that differ in this.

    :raise LookupError: when the kernel has no such module.
    """
    files = {_name(path): path for path in kernel.modules.rglob("*.ko*")}
    builtin = {
        _name(Path(line)) for line in (kernel.modules / "modules.builtin").read_text().splitlines()
    }
    folder.mkdir(parents=True, exist_ok=True)
    direct: dict[str, list[str]] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name in direct or name in builtin:
            continue
        if name not in files:
            raise LookupError(f"kernel {kernel.version} has no module {name}")
        content = _content(files[name])
        (folder / f"{name}.ko").write_bytes(content)
        needs = re.search(rb"\0depends=([\w,-]*)\0", content)
        direct[name] = [
            need.replace("-", "_")
            for need in (needs[1].decode().split(",") if needs else [])
            if need and need.replace("-", "_") not in builtin
        ]
        wanted += direct[name]
    return {name: _all_needs(name, direct) for name in direct}


def write_dependencies(
    folder: Path, needs: dict[str, list[str]], paths: dict[str, str] | None = None
) -> None:
    """Write modprobe's modules.dep into the folder of a kernel's modules.

    ``needs`` is what :func:`copy_modules` returned; ``paths`` are those of modules elsewhere.
    """
    paths = {name: f"{name}.ko" for name in needs} | (paths or {})
    lines = (f"{paths[name]}: {' '.join(paths[need] for need in needs[name])}\n" for name in needs)
    (folder / "modules.dep").write_text("".join(lines))


def _all_needs(name: str, direct: dict[str, list[str]]) -> list[str]:
    # modprobe loads from the right: what others need has to come after all of them.
    deepest_first: dict[str, None] = {}

    def visit(module: str) -> None:
        for need in direct[module]:
            visit(need)
            deepest_first.setdefault(need)

    visit(name)
    return list(reversed(deepest_first))


def _name(path: Path) -> str:
    # The file is virtio-rng.ko, the module virtio_rng.
    return path.name.partition(".ko")[0].replace("-", "_")


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data
