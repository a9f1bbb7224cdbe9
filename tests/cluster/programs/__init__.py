"""The programs of a real Kubernetes, built from their Go modules and kept in a cache.

Each folder here is one module: its go.mod says what is built and at which version, its go.sum what
the sources are. They are apart because the programs in them ask for different versions of the same
libraries. `find("kubectl")` is the path of one program, built first when the cache has none;
`python -m tests.cluster.programs NAME...` prints such paths.
"""

from tests.cluster.programs.build import find, prepare, search_path

__all__ = ["find", "prepare", "search_path"]
