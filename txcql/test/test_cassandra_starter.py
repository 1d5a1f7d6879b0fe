"""The starter of real nodes, without Java: layouts, limits, messages."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from txcql.test.cassandra import CassandraUnavailable, jars, lease
from txcql.test.cassandra.__main__ import main
from txcql.test.cassandra.certificates import Certificates
from txcql.test.cassandra.configuration import NodePaths, node_command, node_settings, write_files
from txcql.test.cassandra.folders import VARIABLE, last_lines, socket_path
from txcql.test.cassandra.layouts import LAYOUTS, layout_named
from txcql.test.cassandra.loopback import check_free, free_addresses, free_port
from txcql.test.cassandra.readiness import answers, greets


class CacheCase(SynchronousTestCase):
    """A test with a cache folder of its own, whose path is short."""

    def setUp(self) -> None:
        self.cache = Path(tempfile.mkdtemp(prefix="txcql"))
        self.addCleanup(shutil.rmtree, self.cache)
        self.environment({VARIABLE: str(self.cache)})

    def environment(self, values: dict[str, str]) -> None:
        """Change environment variables until the test ends."""
        change = mock.patch.dict(os.environ, values)
        change.start()
        self.addCleanup(change.stop)

    def program(self, name: str, script: str) -> Path:
        """Write a shell script into a folder ``bin``, and return the folder above."""
        file = self.cache / "home" / "bin" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
        return self.cache / "home"


class LayoutTests(SynchronousTestCase):
    """What nodes are told."""

    def settings(self, name: str, index: int = 0, tls: Certificates | None = None) -> dict[str, Any]:
        layout = LAYOUTS[name]
        addresses = [f"127.9.9.{last}" for last in range(1, len(layout.nodes) + 1)]
        return dict(node_settings(layout, index, addresses, NodePaths(Path("/cache/node")), tls))

    def test_one(self) -> None:
        """The single node chooses its tokens and is its own seed."""
        settings = self.settings("one")
        self.assertEqual(settings["num_tokens"], 8)
        self.assertEqual(settings["rpc_address"], "127.9.9.1")
        self.assertEqual(settings["seed_provider"][0]["parameters"], [{"seeds": "127.9.9.1:7000"}])
        self.assertEqual(settings["data_file_directories"], ["/cache/node/data"])
        self.assertNotIn("initial_token", settings)
        self.assertEqual(settings["authenticator"], "AllowAllAuthenticator")

    def test_three(self) -> None:
        """Three nodes have fixed tokens, start at once, and are all seeds."""
        settings = [self.settings("three", index) for index in range(3)]
        tokens = ["-9223372036854775808", "-3074457345618258603", "3074457345618258602"]
        self.assertEqual([each["initial_token"] for each in settings], tokens)
        seeds = {each["seed_provider"][0]["parameters"][0]["seeds"] for each in settings}
        self.assertEqual(seeds, {"127.9.9.1:7000,127.9.9.2:7000,127.9.9.3:7000"})
        self.assertEqual({each["auto_bootstrap"] for each in settings}, {False})
        places = [(node.datacenter, node.rack) for node in LAYOUTS["three"].nodes]
        self.assertEqual(places, [("dc1", "rack1"), ("dc1", "rack2"), ("dc2", "rack1")])

    def test_old_names(self) -> None:
        """4.0 gets the names and the plain numbers that it knows, 4.1 the new ones."""
        old, new = self.settings("v40"), self.settings("v41")
        self.assertEqual(old["commitlog_sync_period_in_ms"], 10000)
        self.assertEqual(old["memtable_heap_space_in_mb"], 32)
        self.assertIs(old["enable_user_defined_functions"], True)
        self.assertNotIn("memtable_heap_space", old)
        self.assertEqual(new["memtable_heap_space"], "32MiB")

    def test_secure(self) -> None:
        """The secure node asks for a login, and speaks TLS only."""
        settings = self.settings("secure", tls=Certificates("ca", "crt", "key", "store", "trust"))
        self.assertEqual(settings["authenticator"], "PasswordAuthenticator")
        encryption = settings["client_encryption_options"]
        self.assertEqual((encryption["enabled"], encryption["optional"]), (True, False))
        self.assertEqual((encryption["keystore"], encryption["require_client_auth"]), ("store", False))

    def test_command(self) -> None:
        """Heap, agent and compiler are the layout's; what is measured is compiled fully."""
        paths, lib = NodePaths(Path("/cache/node")), Path("/cache/lib")
        commands = {name: node_command("java", LAYOUTS[name], lib, paths, 7199) for name in LAYOUTS}
        self.assertIn(f"-Xmx{LAYOUTS['one'].heap}M", commands["one"])
        self.assertIn("-javaagent:/cache/lib/jamm-0.3.2.jar", commands["v41"])
        self.assertFalse([flag for flag in commands["one"] if flag.startswith("-javaagent")])
        self.assertIn("-XX:TieredStopAtLevel=1", commands["one"])
        self.assertNotIn("-XX:TieredStopAtLevel=1", commands["bench"])
        self.assertIn("-Djava.io.tmpdir=/cache/node/tmp", commands["one"])

    def test_files(self) -> None:
        """Each setting is one line of YAML, and the rack file says where the node stands."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        paths = NodePaths(Path(folder.name) / "node")
        write_files(LAYOUTS["three"], 2, paths, {"name": 'a "quoted" one', "list": [1]})
        yaml = (paths.conf / "cassandra.yaml").read_text(encoding="utf-8")
        self.assertEqual(yaml, 'name: "a \\"quoted\\" one"\nlist: [1]\n')
        rack = (paths.conf / "cassandra-rackdc.properties").read_text(encoding="utf-8")
        self.assertEqual(rack, "dc=dc2\nrack=rack1\n")
        self.assertTrue(paths.temporary.is_dir())

    def test_names(self) -> None:
        """An exclusive cluster has its layout's name and a suffix; an unknown name is refused."""
        self.assertIs(layout_named("three-4711-1"), LAYOUTS["three"])
        for name in ("", "four", "one/..", "one-x", "../one"):
            error = self.assertRaises(CassandraUnavailable, layout_named, name)
            self.assertIn("choose one of", str(error))

    def test_fingerprint(self) -> None:
        """Layouts that differ have fingerprints that differ."""
        self.assertEqual(len({layout.fingerprint() for layout in LAYOUTS.values()}), len(LAYOUTS))


class CacheTests(CacheCase):
    """The cache folder and its limits."""

    def test_socket_limit(self) -> None:
        """A socket's path of 107 bytes serves; one of 108 is refused, and the text says what to do."""
        room = 107 - len(str(self.cache)) - len("/one.sock") - 1
        self.environment({VARIABLE: str(self.cache / ("x" * room))})
        self.assertEqual(len(str(socket_path("one"))), 107)
        self.environment({VARIABLE: str(self.cache / ("x" * (room + 1)))})
        error = str(self.assertRaises(CassandraUnavailable, socket_path, "one"))
        self.assertIn("108 bytes", error)
        self.assertIn(VARIABLE, error)

    def test_unusable(self) -> None:
        """A relative folder, one with a colon and one that cannot be made are refused."""
        file = self.cache / "file"
        file.touch()
        for folder in ("relative", f"{self.cache}/a:b", f"{file}/below"):
            self.environment({VARIABLE: folder})
            self.assertIn(VARIABLE, str(self.assertRaises(CassandraUnavailable, socket_path, "one")))

    def test_last_lines(self) -> None:
        """The end of a log is read, however long, empty or missing the log is."""
        log = self.cache / "log"
        self.assertIn("no log", last_lines(log))
        log.touch()
        self.assertIn("empty", last_lines(log))
        log.write_text("".join(f"line {number}\n" for number in range(9999)), encoding="utf-8")
        self.assertEqual(last_lines(log, 2), "line 9997\nline 9998")


class ToolTests(CacheCase):
    """Java and Maven: what is said when they are not as they should be."""

    def setUp(self) -> None:
        super().setUp()
        self.environment({"PATH": "", "JAVA_HOME": "", "MAVEN_HOME": ""})

    def command_line(self, *arguments: str) -> tuple[int, str]:
        """Run the command line; return its exit status and what it wrote as an error."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), mock.patch.object(sys, "argv", ["cassandra", *arguments]):
            return main(), errors.getvalue()

    def test_no_java(self) -> None:
        """Without Java a lease and the command line say what to install, and which variable points to it."""
        error = str(self.assertRaises(CassandraUnavailable, lease, "one"))
        self.assertIn("no 'java' on the PATH", error)
        self.assertIn("openjdk-17", error)
        self.assertIn("JAVA_HOME", error)
        self.assertEqual(self.command_line("up", "one"), (1, f"error: {error}\n"))

    def test_wrong_home(self) -> None:
        """A JAVA_HOME without Java is not passed over in silence."""
        self.environment({"JAVA_HOME": "/nowhere", "PATH": "/usr/bin"})
        error = str(self.assertRaises(CassandraUnavailable, jars.find_java))
        self.assertIn("JAVA_HOME is '/nowhere'", error)

    def test_version(self) -> None:
        """Java 17 passes; another version is refused with what it says of itself."""
        for version, good in (("17.0.15", True), ("17", True), ("21.0.2", False), ("1.8.0_402", False)):
            home = self.program("java", f"echo 'openjdk version \"{version}\" 2025' >&2")
            if good:
                jars.check_java(str(home / "bin" / "java"))
                continue
            error = self.assertRaises(CassandraUnavailable, jars.check_java, str(home / "bin" / "java"))
            self.assertIn(version, str(error))

    def test_no_maven(self) -> None:
        """Without Maven, and without the jars, the text says what to install."""
        home = self.program("java", "echo 'openjdk version \"17.0.15\"' >&2")
        self.environment({"JAVA_HOME": str(home)})
        status, error = self.command_line("jars", "one")
        self.assertEqual(status, 1)
        self.assertIn("no 'mvn' on the PATH", error)
        self.assertIn("MAVEN_HOME", error)

    def test_maven_fails(self) -> None:
        """What Maven says is passed on, and nothing half done is left."""
        self.environment({"MAVEN_HOME": str(self.program("mvn", "echo no route to the repository; exit 1"))})
        error = self.assertRaises(CassandraUnavailable, jars.fetch_jars, LAYOUTS["one"].release)
        self.assertIn("no route to the repository", str(error))
        self.assertEqual([path.name for path in self.cache.glob("cassandra-*") if path.is_dir()], [])

    def test_maven_once(self) -> None:
        """The jars are fetched once."""
        script = 'read -r line < pom.xml; : > ../ran.$$; while [ ! -d lib ]; do "$MKDIR" lib; done; '
        script += ": > lib/cassandra-all-5.0.5.jar"
        home = self.program("mvn", script)
        self.environment({"MAVEN_HOME": str(home), "MKDIR": "/bin/mkdir"})
        for _ in range(2):
            folder = jars.fetch_jars(LAYOUTS["one"].release)
            self.assertEqual([path.name for path in folder.iterdir()], ["cassandra-all-5.0.5.jar"])
        self.assertEqual(len(list(self.cache.glob("ran.*"))), 1)


class LoopbackTests(SynchronousTestCase):
    """Addresses that are free, and nodes that answer."""

    def test_addresses(self) -> None:
        """The addresses are neighbours, and both ports of each are free."""
        addresses = free_addresses(3)
        self.assertEqual([address.rpartition(".")[2] for address in addresses], ["1", "2", "3"])
        check_free(addresses)
        with socket.socket() as taken:
            taken.bind((addresses[1], 9042))
            self.assertRaises(OSError, check_free, addresses)

    def test_nobody_answers(self) -> None:
        """A port on which nobody listens is not ready."""
        self.assertFalse(answers("127.0.0.1", free_port()))

    def greeted(self, *frames: bytes, login: tuple[str, str] | None = None, peers: int = 0) -> bool:
        """Ask a peer that has said these frames, and then hangs up."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(b"".join(frames))
            theirs.shutdown(socket.SHUT_WR)
            return greets(ours, login, peers)

    def test_greetings(self) -> None:
        """Only SUPPORTED will do, and behind it the login where one is asked for."""
        supported, error = b"\x84\0\0\0\x06\0\0\0\x02\0\0", b"\x84\0\0\0\0\0\0\0\x06\0\0\0\x0a\0\0"
        authenticate, success = b"\x84\0\0\0\x03\0\0\0\x02\0\0", b"\x84\0\0\0\x10\0\0\0\x04\xff\xff\xff\xff"
        login = ("cassandra", "cassandra")
        self.assertTrue(self.greeted(supported))
        self.assertFalse(self.greeted(error))
        self.assertFalse(self.greeted(b"HTTP/1.1 400 Bad Request\r\n"))
        self.assertTrue(self.greeted(supported, authenticate, success, login=login))
        self.assertFalse(self.greeted(supported, authenticate, error, login=login))
        self.assertRaises(OSError, self.greeted, supported[:5])

    def test_a_node_that_is_to_know_others(self) -> None:
        """It counts those of which both the data center and the tokens are there."""

        def rows(*cells: bytes) -> bytes:
            values = b"".join(struct.pack(">i", len(cell) or -1) + cell for cell in cells)
            body = struct.pack(">iiii", 2, 4, 2, len(cells) // 2) + values
            return b"\x84\0\0\0\x08" + struct.pack(">i", len(body)) + body

        supported, ready = b"\x84\0\0\0\x06\0\0\0\x02\0\0", b"\x84\0\0\0\x02\0\0\0\0"
        error = b"\x84\0\0\0\0\0\0\0\x06\0\0\0\x0a\0\0"
        both = rows(b"dc1", b"tokens", b"dc2", b"tokens")
        self.assertTrue(self.greeted(supported, ready, both, peers=2))
        self.assertFalse(self.greeted(supported, ready, both, peers=3))
        self.assertFalse(self.greeted(supported, ready, rows(b"dc1", b"tokens", b"dc2", b""), peers=2))
        self.assertFalse(self.greeted(supported, ready, error, peers=1))
        self.assertFalse(self.greeted(supported, error, both, peers=1))
