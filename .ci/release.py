"""Build what a release is made of, and see whether it is fit for one.

``release.py DIST`` leaves in that folder the source archive, a wheel of Python alone and one that is compiled
for this Python. Each is built twice: the hashes have to be equal. Then twine checks them. Each Python that is
named (``--python PATH``, more than once; else this one) installs the pure wheel, and the source archive,
compiled, in environments with nothing else in them, and runs the README's program there on
``python -m txcql fake``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PURE, COMPILED = {"TXCQL_COMPILE": "0"}, {"TXCQL_COMPILE": "require"}

CHECK = (
    "import sys, txcql; assert txcql.__file__.startswith(sys.prefix), txcql.__file__; "
    "print(txcql.__version__, txcql.wire.COMPILED)"
)


class Unfit(Exception):
    """There is no release to be made of this, and why."""


def run(*command: str | Path, cwd: Path = ROOT, variables: Mapping[str, str] = {}) -> str:
    """Run a command; what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Unfit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def version() -> str:
    """The one place where it stands."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "txcql" / "_version.py").read_text(), re.MULTILINE)
    if found is None:
        raise Unfit("txcql/_version.py has no __version__")
    return found[1]


def epoch() -> str:
    """The time of the last commit, in seconds since 1970."""
    return os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct").strip()


def build(folder: Path, python: Path | str) -> list[Path]:
    """The source archive, and of it both wheels.

    :param python: which the compiled one is for.
    """
    variables = {"SOURCE_DATE_EPOCH": epoch(), "PYTHONHASHSEED": "0"}
    run(sys.executable, "-m", "build", "--sdist", "-o", folder, ROOT, variables={**variables, **PURE})
    (archive,) = folder.glob("*.tar.gz")
    for mode in (PURE, COMPILED):
        run(
            python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-cache-dir", "-w", folder, archive,
            variables={**variables, **mode},
        )  # fmt: skip
    return sorted(folder.iterdir())


def build_twice(folder: Path) -> list[Path]:
    """Build, and build again: the files are the same, byte for byte."""
    with tempfile.TemporaryDirectory() as other:
        first, second = build(folder, sys.executable), build(Path(other), sys.executable)
        if [path.name for path in first] != [path.name for path in second]:
            raise Unfit(f"two builds made {first} and {second}")
        for one, two in zip(first, second, strict=True):
            if one.read_bytes() != two.read_bytes():
                raise Unfit(f"{one.name} is another one when it is built again")
    for path in first:
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}", flush=True)
    return first


@contextmanager
def fake_node(python: Path, room: Path) -> Iterator[str]:
    """A fake node of the txcql that is installed; its address."""
    command = [str(python), "-m", "txcql", "fake", "--port", "0"]
    with subprocess.Popen(command, cwd=room, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            if process.stdout.readline() != "ready\n":
                raise Unfit("python -m txcql fake is not ready")
            yield address
        finally:
            process.terminate()


def program() -> str:
    """The one in the README, of six lines."""
    readme = (ROOT / "README.rst").read_text("utf-8")
    found = re.search(r"^\.\. code-block:: python\n\n((?:    .*\n)+)", readme, re.MULTILINE)
    if found is None or found[1].count("\n") != 6:
        raise Unfit("README.rst: expected a program of six lines")
    return "".join(line[4:] + "\n" for line in found[1].splitlines())


def try_out(python: Path | str, artifact: Path, compiled: bool) -> None:
    """Install in an empty environment, and run the program there."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        run(python, "-m", "venv", room / "venv")
        inside = room / "venv" / "bin" / "python"
        run(
            inside, "-m", "pip", "install", "-q", artifact, cwd=room, variables=COMPILED if compiled else PURE
        )
        run(inside, "-m", "pip", "check", cwd=room)
        said = run(inside, "-c", CHECK, cwd=room).strip()
        if said != f"{version()} {compiled}":
            raise Unfit(f"{artifact.name}: installed as {said!r}")
        with fake_node(inside, room) as address:
            (room / "program.py").write_text(program().replace('"127.0.0.1"', f'"{address}"'))
            answer = run(inside, "program.py", cwd=room).strip()
        if not answer.startswith("Row(release_version="):
            raise Unfit(f"{artifact.name}: the program printed {answer!r}")
        number = run(inside, "-c", "import platform; print(platform.python_version())", cwd=room).strip()
        print(f"Python {number}: {artifact.name}, {'compiled' if compiled else 'pure'}: {answer}", flush=True)


def main() -> int:
    """Build, check, try out; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dist", type=Path, help="where the files go; it must be empty")
    parser.add_argument("--python", action="append", default=[], help="an interpreter to try them out on")
    options = parser.parse_args()
    options.dist.mkdir(parents=True, exist_ok=True)
    try:
        if any(options.dist.iterdir()):
            raise Unfit(f"{options.dist} is not empty")
        files = build_twice(options.dist)
        print(run(sys.executable, "-m", "twine", "check", "--strict", *files).strip(), flush=True)
        (archive,) = (path for path in files if path.suffix == ".gz")
        (pure,) = (path for path in files if path.name.endswith("-none-any.whl"))
        for python in options.python or [sys.executable]:
            try_out(python, pure, compiled=False)
            try_out(python, archive, compiled=True)
        (compiled,) = {*files} - {archive, pure}
        try_out(sys.executable, compiled, compiled=True)
    except Unfit as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
