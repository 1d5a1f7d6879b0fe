"""What the benchmarks share: the canned server, scripts in processes of their own, figures and tables."""

from __future__ import annotations

import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from answers import Statement, write_answers

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
CLIENTS = HERE / "clients"
TIMEOUT = 300.0
"""Seconds that one script may take."""


class BenchmarkError(Exception):
    """The figures of this run are void, and why."""


# ---- what is needed to measure ----


def run_tool(*command: str | Path, variables: dict[str, str] | None = None) -> None:
    """Run a tool of the build; its output is shown only when it fails."""
    done = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
    )
    if done.returncode:
        raise BenchmarkError(f"{Path(command[0]).name} failed:\n{done.stdout}")


def compile_server() -> Path:
    """Compile ``server.c``, if it is newer than what was compiled before."""
    source, server = HERE / "server.c", BUILD / "server"
    if not server.exists() or server.stat().st_mtime < source.stat().st_mtime:
        compiler = os.environ.get("CC", "cc")
        if shutil.which(compiler) is None:
            raise BenchmarkError(f"no C compiler: {compiler!r} is not on the path (CC names another)")
        run_tool(compiler, "-O2", "-Wall", "-Wextra", "-o", server, source)
    return server


@contextmanager
def running_server(server: Path, answers: Path) -> Iterator[int]:
    """The canned server, for as long as the context lasts; its port. It ends when its standard input does."""
    process = subprocess.Popen([server, answers], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise BenchmarkError("the canned server did not start")
        yield int(line)
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


@contextmanager
def serving(statements: Sequence[Statement]) -> Iterator[int]:
    """A canned server that answers these statements; its port."""
    BUILD.mkdir(exist_ok=True)
    answers = BUILD / "answers"
    write_answers(answers, statements)
    with running_server(compile_server(), answers) as port:
        yield port


@functools.cache
def built_txcql() -> Path:
    """A folder with the txcql of the checkout, as pip builds it with a C compiler, and no older than that."""
    folder = BUILD / "txcql"
    sources = [*(HERE.parent / "txcql").rglob("*.py*"), HERE.parent / "setup.py", HERE.parent / "setup.cfg"]
    made = folder / "made"
    if not made.exists() or max(path.stat().st_mtime for path in sources) > made.stat().st_mtime:
        print("building txcql, compiled", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        variables = {**os.environ, "TXCQL_COMPILE": "require"}
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        run_tool(*pip, folder, HERE.parent, variables=variables)
        made.touch()
    return folder


def built_variables(pure: bool) -> dict[str, str]:
    """The environment variables for a client that runs that txcql, compiled or not."""
    path = os.pathsep.join(filter(None, [str(built_txcql()), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "TXCQL_PURE": "1" if pure else ""}


@functools.cache
def txcql_variables() -> dict[str, str]:
    """The environment variables for txcql's client: it comes from the checkout where it is not installed."""
    BUILD.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-c",
        "import importlib.util as u, sys; sys.exit(u.find_spec('txcql') is None)",
    ]
    if subprocess.run(command, cwd=BUILD).returncode == 0:
        return {**os.environ}
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


# ---- measuring ----


def make_job(
    statement: Statement,
    in_flight: int,
    warm_up: int,
    requests: int,
    port: int,
    *,
    host: str = "127.0.0.1",
    protocol: int = 5,
    variant: str = "",
) -> dict[str, Any]:
    """What a client is asked to do: see ``Job`` in ``clients/load.py``."""
    return {
        "host": host,
        "port": port,
        "protocol": protocol,
        "kind": statement.kind,
        "statement": statement.text,
        "in_flight": in_flight,
        "warm_up": warm_up,
        "requests": requests,
        "variant": variant,
    }


def run_script(
    what: str, script: str, job: object, python: Path | None = None, variables: dict[str, str] | None = None
) -> dict[str, Any]:
    """Run a script of ``clients/`` in a process of its own, on one job; the JSON object that it prints last.

    :param python: its interpreter; without one it is that of this process.
    :param variables: its environment; without any it is that of this process.
    """
    command = [str(python or sys.executable), str(CLIENTS / script), json.dumps(job)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, cwd=BUILD, env=variables
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{what}: no result after {TIMEOUT:.0f} s") from None
    if done.returncode:
        raise BenchmarkError(f"{what}: ended with status {done.returncode}\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def check_result(what: str, result: dict[str, Any], statement: Statement, requests: int) -> None:
    """A figure counts only when the client has seen exactly the values that were sent."""
    if "size" in result:
        expected = {"requests": requests, "size": requests * statement.answer_size()}
    else:
        expected = {
            "requests": requests,
            "total": statement.expected_total(requests),
            "fingerprint": statement.expected_fingerprint(),
        }
    for name, value in expected.items():
        if result.get(name) != value:
            raise BenchmarkError(f"{what}: {name} is {result.get(name)}, expected {value}")


# ---- reporting ----


def spell(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def median_and_spread(values: Sequence[float]) -> list[str]:
    """Two cells of a table."""
    return [spell(statistics.median(values)), f"{spell(min(values))}..{spell(max(values))}"]


def markdown(titles: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[str] = ()) -> str:
    """A Markdown table.

    :param numeric: the titles of the columns that are aligned to the right.
    """
    rules = ["---:" if title in numeric else "---" for title in titles]
    lines = [f"| {' | '.join(titles)} |", f"|{'|'.join(rules)}|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def txcql_fact(build: dict[str, Any]) -> str:
    """Which txcql ran."""
    if Path(build["folder"]).parent == BUILD / "txcql":
        return f"txcql {build['txcql']}, built from the checkout"
    place = "from the checkout" if Path(build["folder"]) == HERE.parent / "txcql" else "as installed"
    return f"txcql {build['txcql']}, {'compiled' if build['compiled'] else 'pure Python'}, {place}"
