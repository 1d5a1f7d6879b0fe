"""The keeper of real nodes and its callers, with a node of straw instead of a real one."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txcql.test.cassandra import CommandFailed, Lease, Node, daemons
from txcql.test.cassandra.daemons import Daemon, tethered
from txcql.test.cassandra.folders import last_lines
from txcql.test.cassandra.keeper import LINGER, Keeper
from txcql.test.cassandra.leases import Channel, KeeperGone
from txcql.test.cassandra.remote import Question
from txcql.test.test_cassandra_starter import CacheCase

PATIENCE = 20.0


def python(code: str) -> list[str]:
    """Make a command line that runs a little Python quickly."""
    return [sys.executable, "-I", "-S", "-c", code]


class TetherTests(SynchronousTestCase):
    """Nodes die with their keeper."""

    def test_parent_killed(self) -> None:
        """SIGKILL of the parent ends the child, whose end of a pipe closes."""
        code = f"import os, sys, time; sys.path.insert(0, {str(Path(daemons.__file__).parents[3])!r})\n"
        code += "from txcql.test.cassandra.daemons import tethered\n"
        # The child says a word when it is past the tie, and holds the pipe until it ends.
        child = [sys.executable, "-I", "-S", "-c", "print('there', flush=True); import time; time.sleep(60)"]
        code += f"tethered({child!r}, sys.stdout.buffer, '/'); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            self.assertEqual(parent.stdout.readline(), b"there\n")
            parent.kill()
            self.assertEqual(parent.stdout.read(), b"")

    def test_cannot_run(self) -> None:
        """A program that is not there is named in the node's log."""
        with tempfile.TemporaryFile() as output:
            self.assertNotEqual(tethered(["/nowhere/java"], output, Path("/")).wait(PATIENCE), 0)
            output.seek(0)
            self.assertIn(b"cannot run /nowhere/java", output.read())


class Straw:
    """A node of straw: a process that sleeps, and is ready when the test says so."""

    address, port, datacenter, rack, nice = "127.9.9.1", 9042, "dc1", "rack1", 0

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.is_ready = True
        self.code = "print('there', flush=True); import time; time.sleep(60)"

    def command(self) -> list[str]:
        return python(self.code)

    def nodetool(self, arguments: list[str]) -> list[str]:
        return python(f"import sys; print({arguments!r}); sys.exit({int('fail' in arguments)})")

    def answers(self) -> bool:
        return self.is_ready and "there" in last_lines(self.log)


class KeeperTests(CacheCase):
    """The keeper, a step at a time, under a clock of the test's own."""

    def keeper(self, exclusive: bool = True, code: str = "") -> Keeper:
        """Make a keeper of one straw, and start it."""
        self.clock = Clock()
        (self.cache / "node0" / "data").mkdir(parents=True)
        self.straw = Straw(self.cache / "node0")
        self.straw.code = code or self.straw.code
        self.daemon = Daemon(0, self.straw)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.cache / "k.sock"))
        listener.listen()
        details = {"login": None, "tls": None}
        made = Keeper(
            "one",
            "F",
            [self.daemon],
            listener,
            exclusive=exclusive,
            details=details,
            clock=self.clock.seconds,
        )
        self.patch(sys, "stderr", io.StringIO())
        made.start()
        self.addCleanup(self.end, made)
        return made

    def end(self, keeper: Keeper) -> None:
        """End a keeper that the test has not ended."""
        if not keeper.over:
            keeper.close()

    def client(self) -> socket.socket:
        """Connect to the keeper."""
        link = socket.socket(socket.AF_UNIX)
        self.addCleanup(link.close)
        link.connect(str(self.cache / "k.sock"))
        link.setblocking(False)
        return link

    def pump(self, keeper: Keeper, done: Callable[[], bool]) -> None:
        """Let the keeper work until something is the case."""
        end = time.monotonic() + PATIENCE
        while not done():
            self.assertLess(time.monotonic(), end, f"it never came: {keeper!r}")
            keeper.tick(0.005)

    def ask(self, keeper: Keeper, link: socket.socket, **request: object) -> dict[str, Any]:
        """Send a request, and let the keeper work until it answers."""
        link.sendall(json.dumps({"id": 7, **request}).encode() + b"\n")
        return self.answer(keeper, link)

    def answer(self, keeper: Keeper, link: socket.socket) -> dict[str, Any]:
        """Let the keeper work until it has sent a line."""
        came = bytearray()

        def whole() -> bool:
            with contextlib.suppress(BlockingIOError):
                came.extend(link.recv(65536))
            return came.endswith(b"\n")

        self.pump(keeper, whole)
        result: dict[str, Any] = json.loads(came)
        return result

    def joined(self, keeper: Keeper) -> socket.socket:
        """Connect, and join."""
        link = self.client()
        self.assertIn("ok", self.ask(keeper, link, op="join", layout="F"))
        return link

    def test_join_waits(self) -> None:
        """Who joins is answered when the node answers, not when its process runs."""
        keeper = self.keeper()
        self.straw.is_ready = False
        link = self.client()
        starting = self.ask(keeper, link, op="status")["ok"]
        self.assertEqual([node["state"] for node in starting["nodes"]], ["starting"])
        link.sendall(b'{"id": 7, "op": "join", "layout": "F"}\n')
        for _ in range(3):
            keeper.tick(0.001)
        self.assertRaises(BlockingIOError, link.recv, 1)
        self.assertIn("still starting", self.ask(keeper, link, op="kill", node=0)["error"])
        self.straw.is_ready = True
        answer = self.answer(keeper, link)
        self.assertEqual((answer["id"], answer["ok"]["nodes"][0]["state"]), (7, "ready"))

    def test_node_dies_at_start(self) -> None:
        """A node that ends before it answers is reported with its status and its log, and the keeper ends."""
        keeper = self.keeper(code="print('Invalid yaml'); raise SystemExit(3)")
        error = self.ask(keeper, self.client(), op="join", layout="F")["error"]
        self.assertIn("ended with status 3", error)
        self.assertIn("Invalid yaml", error)
        self.assertTrue(keeper.over)
        keeper.close()

    def test_linger(self) -> None:
        """A shared cluster goes some time after its last holder, and no sooner."""
        keeper = self.keeper(exclusive=False)
        first, second = self.joined(keeper), self.joined(keeper)
        first.close()
        keeper.tick(0.1)
        self.clock.advance(10 * LINGER)
        keeper.tick(0)
        self.assertFalse(keeper.over)
        second.close()
        keeper.tick(0.1)
        self.clock.advance(LINGER - 1)
        self.assertEqual(self.ask(keeper, self.client(), op="status")["ok"]["holders"], 0)
        self.assertFalse(keeper.over)
        self.clock.advance(1)
        keeper.tick(0)
        self.assertTrue(keeper.over)
        keeper.close()
        self.assertEqual(self.daemon.state(), "ended")
        self.assertEqual([path.name for path in self.cache.rglob("*") if path.is_file()], ["log"])
        self.assertFalse((self.cache / "node0" / "data").exists())

    def test_exclusive_goes_at_once(self) -> None:
        """An exclusive cluster waits for its holder, and goes with it."""
        keeper = self.keeper()
        self.clock.advance(LINGER - 1)
        self.joined(keeper).close()
        self.pump(keeper, lambda: keeper.over)
        keeper.close()

    def test_refusals(self) -> None:
        """What the keeper cannot or may not do, it says."""
        keeper = self.keeper(exclusive=False)
        link = self.joined(keeper)
        for request, text in (
            ({"op": "join", "layout": "G"}, "another layout"),
            ({"op": "kill", "node": 0}, "exclusive=True"),
            ({"op": "kill", "node": 1}, "no node 1"),
            ({"op": "explode", "node": 0}, "no command 'explode'"),
        ):
            self.assertIn(text, self.ask(keeper, link, **request)["error"])
        link.sendall(b"nonsense\n")
        self.assertIn("not a request", self.answer(keeper, link)["error"])

    def test_faults(self) -> None:
        """A node is stopped, let go on, killed and started again."""
        keeper = self.keeper()
        link = self.joined(keeper)
        first = self.ask(keeper, link, op="stop", node=0)["ok"]
        self.assertEqual(first["state"], "stopped")
        self.assertEqual(self.ask(keeper, link, op="cont", node=0)["ok"]["state"], "ready")
        self.assertEqual(self.ask(keeper, link, op="kill", node=0)["ok"]["state"], "ended")
        self.assertEqual(self.daemon.status(), -signal.SIGKILL)
        self.assertIn("already ended", self.ask(keeper, link, op="kill", node=0)["error"])
        second = self.ask(keeper, link, op="restart", node=0)["ok"]
        self.assertEqual(second["state"], "ready")
        self.assertNotEqual(first["pid"], second["pid"])
        self.ask(keeper, link, op="stop", node=0)
        self.assertEqual(self.ask(keeper, link, op="terminate", node=0)["ok"]["state"], "ended")
        self.assertEqual(self.daemon.status(), -signal.SIGTERM)

    def test_one_command_at_a_time(self) -> None:
        """A node that is busy with a command takes no other."""
        keeper = self.keeper()
        link = self.joined(keeper)
        self.straw.is_ready = False
        link.sendall(b'{"id": 1, "op": "nodetool", "node": 0, "arguments": []}\n')
        link.sendall(b'{"id": 2, "op": "kill", "node": 0}\n')
        self.assertIn("busy", self.answer(keeper, link)["error"])
        self.assertEqual(self.answer(keeper, link)["id"], 1)

    def test_nodetool(self) -> None:
        """What nodetool prints comes back, as an error if it fails."""
        keeper = self.keeper(exclusive=False)
        link = self.joined(keeper)
        good = self.ask(keeper, link, op="nodetool", node=0, arguments=["status"])
        self.assertEqual(good["ok"]["output"], "['status']\n")
        bad = self.ask(keeper, link, op="nodetool", node=0, arguments=["fail"])
        self.assertIn("nodetool fail ended with status 1:\n['fail']", bad["error"])

    def test_blocking_lease(self) -> None:
        """A lease speaks with a running keeper, and learns that it has ended."""
        keeper, path = self.keeper(), self.cache / "k.sock"
        thread = threading.Thread(target=keeper.run)
        self.patch(keeper, "start", lambda: None)
        thread.start()
        channel = Channel(path)
        with Lease(channel, path, channel.ask(op="join", layout="F")) as held:
            self.assertEqual((held.name, held.exclusive, held.login, held.tls), ("one", True, None, None))
            self.assertEqual(held.kill(0).state, "ended")
            self.assertEqual(held.nodes[0].state, "ended")
            self.assertRaises(CommandFailed, held.stop, 0)
            self.assertEqual(held.refresh()[0].pid, held.nodes[0].pid)
            self.assertRaises(KeeperGone, channel.ask, op="down")
        thread.join(PATIENCE)
        self.assertRaises(OSError, Channel, path)


class QuestionTests(SynchronousTestCase):
    """The side of a lease that a reactor drives."""

    def question(self) -> tuple[Question, StringTransport, Clock]:
        clock, transport = Clock(), StringTransport()
        made = Question(clock, {"op": "kill", "node": 0})
        made.makeConnection(transport)
        return made, transport, clock

    def test_answer(self) -> None:
        """The answer comes when the connection is closed, and no delayed call is left."""
        question, transport, clock = self.question()
        self.assertEqual(json.loads(transport.value()), {"id": 1, "op": "kill", "node": 0})
        question.dataReceived(b'{"id": 1, "ok": {"state": "ended"}}\n')
        self.assertTrue(transport.disconnecting)
        self.assertNoResult(question.done)
        question.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.successResultOf(question.done), {"state": "ended"})
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_error_and_end(self) -> None:
        """An error, a keeper that ends, and one that says nothing are three failures."""
        question, _, _ = self.question()
        question.dataReceived(b'{"id": 1, "error": "no node 0"}\n')
        question.connectionLost(Failure(ConnectionDone()))
        self.assertIn("no node 0", str(self.failureResultOf(question.done, CommandFailed).value))
        question, _, _ = self.question()
        question.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(question.done, KeeperGone)
        question, transport, clock = self.question()
        clock.advance(301)
        self.assertTrue(transport.disconnecting)
        question.connectionLost(Failure(ConnectionDone()))
        self.assertIn("within 300 s", str(self.failureResultOf(question.done, CommandFailed).value))


class NodeTests(SynchronousTestCase):
    """What tests see of a node."""

    def test_description(self) -> None:
        """What the keeper says of a node is what a lease makes a node of."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        node = Node(**Daemon(2, Straw(folder)).describe())  # type: ignore[arg-type]
        self.assertEqual((node.index, node.address, node.port, node.pid), (2, "127.9.9.1", 9042, 0))
        self.assertEqual(node.state, "new")
