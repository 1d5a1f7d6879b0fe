"""Java, Maven, and the jars of Cassandra that Maven fetches."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .folders import cache_folder, locked
from .layouts import Release
from .problems import CassandraUnavailable

__all__ = ["fetch_jars", "find_java", "find_maven", "find_tool", "jars_folder"]

#: The only Java that all the releases of the layouts run on with the flags that we give.
JAVA = 17

POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>txcql</groupId><artifactId>cassandra</artifactId><version>1</version>
<dependencies><dependency>
<groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>{version}</version>
</dependency></dependencies>
</project>
"""


def find_tool(name: str, home: str, advice: str) -> str:
    """Find a program, first where its environment variable points, else on the path.

    :param name: The program's name.
    :param home: The environment variable that names the folder whose ``bin`` holds it, or an empty string.
    :param advice: What to install if it is missing.
    :returns: The program's path.
    :raises CassandraUnavailable: if it is not there; the text says what to install or to set.
    """
    folder = os.environ.get(home, "") if home else ""
    if folder:
        program = os.path.join(folder, "bin", name)
        if os.access(program, os.X_OK):
            return program
        raise CassandraUnavailable(f"{home} is {folder!r}, but there is no program {program}: {advice}")
    found = shutil.which(name)
    if found is None:
        hint = f", or set {home} to the folder whose bin/{name} is to be used" if home else ""
        raise CassandraUnavailable(f"there is no {name!r} on the PATH: {advice}{hint}")
    return found


def find_java(program: str = "java") -> str:
    """Find a program of the Java that runs the nodes.

    :param program: ``java``, or another program beside it.
    :returns: The program's path.
    :raises CassandraUnavailable: if there is none.
    """
    return find_tool(
        program, "JAVA_HOME", f"install Java {JAVA} (on Debian: apt-get install openjdk-{JAVA}-jre-headless)"
    )


def check_java(java: str) -> None:
    """Check that Java has the version that the nodes need.

    :param java: The path of the program.
    :raises CassandraUnavailable: if it has another version, or does not run.
    """
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CassandraUnavailable(f"{java} -version failed: {error}") from error
    found = re.search(r'version "([0-9]+)', done.stderr)
    if found is None or int(found[1]) != JAVA:
        raise CassandraUnavailable(
            f"the nodes need Java {JAVA}, but {java} -version says {done.stderr.strip() or 'nothing'!r}: "
            f"set JAVA_HOME to the folder of a Java {JAVA}"
        )


def find_maven() -> str:
    """Find Maven.

    :returns: The path of ``mvn``.
    :raises CassandraUnavailable: if there is none.
    """
    return find_tool(
        "mvn",
        "MAVEN_HOME",
        "Cassandra's jars are fetched with it; install Maven (on Debian: apt-get install maven)",
    )


def jars_folder(release: Release) -> Path:
    """Find the folder of a release's jars, which exists if, and only if, it is complete.

    :param release: The release.
    :returns: The folder's path.
    :raises CassandraUnavailable: if there is no usable cache folder.
    """
    return cache_folder() / f"cassandra-{release.version}"


def fetch_jars(release: Release) -> Path:
    """Fetch the jars of a release, unless they are there.

    :param release: The release.
    :returns: The folder that holds them.
    :raises CassandraUnavailable: if Maven is missing or fails; the text holds what Maven said.
    """
    target = jars_folder(release)
    with locked(cache_folder() / f"{target.name}.lock"):
        if target.is_dir():
            return target
        maven = find_maven()
        for leftover in target.parent.glob(f"{target.name}.partial*"):
            shutil.rmtree(leftover, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f"{target.name}.partial", dir=target.parent))
        try:
            run_maven(maven, work, release)
            os.rename(work / "lib", target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


def run_maven(maven: str, work: Path, release: Release) -> None:
    """Let Maven copy a release and all that it depends on into a folder ``lib``.

    :param maven: The path of ``mvn``.
    :param work: The folder that gets the ``pom.xml`` and ``lib``.
    :param release: The release.
    :raises CassandraUnavailable: if Maven fails, or Cassandra is not among what it brought.
    """
    (work / "pom.xml").write_text(POM.format(version=release.version), encoding="utf-8")
    command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "dependency:copy-dependencies"]
    done = subprocess.run(
        [*command, "-DoutputDirectory=lib"],
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode or not (work / "lib" / f"cassandra-all-{release.version}.jar").exists():
        said = "\n".join(done.stdout.splitlines()[-25:]) or "(nothing)"
        failed = f"Maven could not fetch Cassandra {release.version} (exit status {done.returncode})"
        raise CassandraUnavailable(f"{failed}; it said:\n{said}")
