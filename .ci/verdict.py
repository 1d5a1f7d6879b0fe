"""What a run of tox amounts to: which environments ran, and how many tests in each.

``verdict.py command`` prints the README's test command; ``verdict.py judge STATUS LOG`` reads what that
command printed. tox skips an interpreter that it does not find and ends green, and a runner that collects
nothing may end green as well: so the environments that must have run are named here, with the least number of
tests for each.
"""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

UNITS = [
    *(f"py{minor}-tw2210" for minor in (310, 311)),
    *(f"py{minor}-twlatest" for minor in (310, 311, 312, 313)),
    "py311-compiled",
]
OTHERS = ["lint", "docs", "demo", "live"]

LEAST_UNITS = 2350
"""Under trial in each of the environments, and under pytest in the default one."""

DEFAULT = "py311-twlatest"

ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
COMMAND = re.compile(r"(\S+): commands\[\d+\]")
SUMMARY = re.compile(r"  (\S+): (OK|SKIP|IGNORED FAIL|FAIL)\b")
PYTEST = re.compile(r"(?:=+ )?((?:\d+ [a-z]+(?:, )?)+|no tests ran) in [\d.]+s(?: \([\d:]+\))?(?: =+)?")
RAN = re.compile(r"Ran (\d+) tests? in [\d.]+s")
TRIAL = re.compile(r"(?:PASSED|FAILED)(?: \((.*)\))?")


def command() -> str:
    """The second block of commands in the README."""
    readme = (ROOT / "README.rst").read_text("utf-8")
    blocks = re.findall(r"^\.\. code-block:: sh\n\n((?:    .*\n)+)", readme, re.MULTILINE)
    if len(blocks) != 2 or "tox" not in blocks[1]:
        raise SystemExit("README.rst: expected two blocks of commands, the second of which runs tox")
    return "".join(line[4:] + "\n" for line in blocks[1].splitlines())


def least_live() -> int:
    """The least number of live tests, as tox.ini has it."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    found = re.search(r"^TXCQL_LEAST_TESTS *= *(\d+)$", tox["testenv:live"]["set_env"], re.MULTILINE)
    if found is None:
        raise SystemExit("tox.ini: [testenv:live] sets no TXCQL_LEAST_TESTS")
    return int(found[1])


class Run:
    """What one run of tox printed, read line by line."""

    def __init__(self, log: str) -> None:
        self.outcomes: dict[str, str] = {}
        self.passed: dict[tuple[str, str], int] = {}
        self.failed = 0
        self.closing: list[str] = []
        environment = ""
        ran = 0
        for line in ESCAPES.sub("", log).splitlines():
            line = line.rstrip()
            if match := COMMAND.match(line):
                environment = match[1]
            elif match := SUMMARY.match(line):
                self.outcomes[match[1]] = match[2]
            elif match := PYTEST.fullmatch(line):
                self.count(environment, "pytest", line.strip("= "), re.findall(r"(\d+) ([a-z]+)", match[1]))
            elif match := RAN.fullmatch(line):
                ran = int(match[1])
                self.closing.append(f"{environment}: trial: {line}")
            elif ran and (match := TRIAL.fullmatch(line)):
                counts = re.findall(r"([a-zA-Z]+)=(\d+)", match[1] or "")
                self.count(environment, "trial", line, [(number, name.lower()) for name, number in counts])
                ran = 0

    def count(self, environment: str, runner: str, line: str, counts: list[tuple[str, str]]) -> None:
        self.closing.append(f"{environment}: {runner}: {line}")
        key = environment, runner
        for number, name in counts:
            if name in ("passed", "successes"):
                self.passed[key] = self.passed.get(key, 0) + int(number)
            elif name in ("failed", "failures", "error", "errors", "unexpectedsuccesses"):
                self.failed += int(number)

    def objections(self) -> list[str]:
        """What must have run and did not, or not enough of it."""
        found = []
        for environment in UNITS + OTHERS:
            outcome = self.outcomes.get(environment, "not in tox's summary")
            if outcome != "OK":
                found.append(f"{environment}: {outcome}")
        least = {(environment, "trial"): LEAST_UNITS for environment in UNITS}
        least[DEFAULT, "pytest"] = LEAST_UNITS
        least["live", "pytest"] = least_live()
        for (environment, runner), number in least.items():
            passed = self.passed.get((environment, runner), 0)
            if passed < number:
                found.append(
                    f"{environment}: {passed} tests passed under {runner}, at least {number} expected"
                )
        return found


def judge(status: int, log: str) -> int:
    """Print the verdict, and return the exit status."""
    run = Run(log)
    found = run.objections()
    if status:
        found.append(f"tox ended with {status}")
    print("\nThe test runners' closing lines:")
    print("\n".join(run.closing) or "none")
    if found:
        print("\nNot as it must be:")
        print("\n".join(found))
    print(f"\n{sum(run.passed.values())} passed, {max(run.failed, len(found))} failed")
    return 1 if found or run.failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "command":
        sys.stdout.write(command())
    else:
        sys.exit(judge(int(sys.argv[2]), Path(sys.argv[3]).read_text("utf-8", "replace")))
