"""Everything is declared in setup.cfg, but which modules are compiled.

The environment variable ``TXCQL_COMPILE`` says whether they are: ``1`` (as it comes) where that is possible,
``0`` not at all, ``require`` or not build. Without them the package is as complete, in Python alone.
"""

import gzip
import os
import platform
import sys
import sysconfig
import tarfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.sdist import sdist

COMPILED = ["txcql/wire/compiledrows.pyx", "txcql/wire/compiledsplitting.pyx"]
MODE = os.environ.get("TXCQL_COMPILE", "1")
EPOCH = os.environ.get("SOURCE_DATE_EPOCH")


def extensions():
    """What is to be compiled, if anything."""
    if MODE not in ("0", "1", "require"):
        raise SystemExit(f"TXCQL_COMPILE is 0, 1 or require, not {MODE!r}")
    if MODE == "0":
        return []
    try:
        if platform.python_implementation() != "CPython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
            raise RuntimeError("only for CPython with its global lock")
        from Cython.Build import cythonize

        found = cythonize(
            [
                # What is compiled tells nothing of the folder that it was compiled in.
                Extension(
                    path[:-4].replace("/", "."),
                    [path],
                    extra_compile_args=[] if sys.platform == "win32" else ["-g0"],
                )
                for path in COMPILED
            ],
            build_dir="build/cython",
        )
        for extension in found:
            # cythonize() forgets it when it is said before.
            extension.optional = MODE != "require"
        return found
    except Exception as error:
        if MODE == "require":
            raise
        print(f"txcql: not compiled: {error}", file=sys.stderr)
        return []


class SourceArchive(sdist):
    """The source archive; with ``SOURCE_DATE_EPOCH`` it is the same one each time."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, owner=None, group=None):
        """Make it; see :class:`distutils.cmd.Command`."""
        if EPOCH is None or format != "gztar" or root_dir is not None:
            return sdist.make_archive(self, base_name, format, root_dir, base_dir, owner, group)

        def plain(member):
            member.mtime = int(EPOCH)
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            return member

        path = f"{base_name}.tar.gz"
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with (
            open(path, "wb") as file,
            gzip.GzipFile("", "wb", mtime=int(EPOCH), fileobj=file) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            archive.add(base_dir, filter=plain)  # Sorted by name.
        return path


setup(ext_modules=extensions(), cmdclass={"sdist": SourceArchive})
