"""Tests for :mod:`txcql.aio.loopreactor` and :mod:`txcql.aio.connecting`: sessions on loops that run."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostResolution, IResolutionReceiver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

import txcql
from txcql.aio.futures import as_future
from txcql.aio.loopreactor import LoopReactor
from txcql.errors import NoNodeAvailable
from txcql.test.aiocase import run
from txcql.testing import FakeCluster

TEXT = "SELECT release_version FROM system.local"


@implementer(IResolutionReceiver)
class Receiver:
    """Hears what a resolver finds."""

    def __init__(self) -> None:
        self.addresses: list[Any] = []
        self.resolution: Any = None
        self.complete = asyncio.get_running_loop().create_future()

    def resolutionBegan(self, resolutionInProgress: Any) -> None:
        self.resolution = resolutionInProgress

    def addressResolved(self, address: Any) -> None:
        self.addresses.append(address)

    def resolutionComplete(self) -> None:
        self.complete.set_result(None)


async def served(use: Any) -> None:
    """Run a node on the loop, and use it."""
    reactor = LoopReactor(asyncio.get_running_loop())
    cluster = FakeCluster(reactor)
    [(host, port)] = await as_future(cluster.listen())
    try:
        await use(host, port)
    finally:
        await as_future(cluster.close())


class ConnectTests(SynchronousTestCase):
    """Whole sessions, each on a loop of its own."""

    def test_one_loop_after_another(self) -> None:
        """Each has its session, no thread is started, and nothing is left open."""

        async def use(host: str, port: int) -> None:
            async with txcql.aio.connect([f"{host}:{port}"]) as session:
                self.assertTrue((await session.execute(TEXT)).one())
            session = await txcql.aio.connect([host], port=port)
            self.assertTrue((await session.execute(TEXT)).one())
            await session.close(drain=1.0)

        threads = threading.active_count()
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            for _ in range(2):
                run(served(use))
                gc.collect()
        self.assertEqual(threading.active_count(), threads)

    def test_host_name(self) -> None:
        """It is resolved by the loop."""

        async def use(host: str, port: int) -> None:
            async with txcql.aio.connect([f"localhost:{port}"]) as session:
                self.assertTrue((await session.execute(TEXT)).one())
            await asyncio.get_running_loop().shutdown_default_executor()

        run(served(use))

    def test_nobody_there(self) -> None:
        """It fails as ever."""

        async def main() -> None:
            with self.assertRaises(NoNodeAvailable):
                await txcql.aio.connect(["127.0.0.77:9"])

        run(main())

    def test_wrong_arguments(self) -> None:
        """They are refused in the call, and so is a call without a loop."""

        async def main() -> None:
            with self.assertRaises(TypeError):
                txcql.aio.connect(["127.0.0.1"], colour="red")  # type: ignore[call-arg]

        run(main())
        with self.assertRaisesRegex(RuntimeError, "no running event loop"):
            txcql.aio.connect(["127.0.0.1"])

    def test_cancelling_the_connect(self) -> None:
        """Nothing goes on."""

        async def use(host: str, port: int) -> None:
            task = asyncio.ensure_future(self.enter(host, port))
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        run(served(use))

    async def enter(self, host: str, port: int) -> None:
        async with txcql.aio.connect([host], port=port):
            raise AssertionError("too fast")


class ResolverTests(SynchronousTestCase):
    """Names, by ``loop.getaddrinfo``."""

    def look_up(self, name: str, **options: Any) -> list[Any]:
        async def main() -> list[Any]:
            loop = asyncio.get_running_loop()
            receiver = Receiver()
            found = LoopReactor(loop).nameResolver.resolveHostName(receiver, name, 9042, **options)
            verifyObject(IHostResolution, found)
            self.assertIs(receiver.resolution, found)
            self.assertEqual(found.name, name)
            await receiver.complete
            await loop.shutdown_default_executor()
            return receiver.addresses

        return run(main())

    def test_names_and_addresses(self) -> None:
        """Of the kinds that are asked for."""
        self.assertIn(IPv4Address("TCP", "127.0.0.1", 9042), self.look_up("localhost"))
        self.assertEqual(
            self.look_up("::1", addressTypes=[IPv6Address], transportSemantics="UDP"),
            [IPv6Address("UDP", "::1", 9042)],
        )
        self.assertEqual(self.look_up("127.0.0.1", addressTypes=[IPv6Address]), [])

    def test_no_such_name(self) -> None:
        """It has no address: a bad label and an unknown one."""
        self.assertEqual(self.look_up("no-such-host.invalid"), [])
        self.assertEqual(self.look_up("x" * 70 + ".invalid"), [])

    def test_cancel(self) -> None:
        """The receiver is told that nothing more comes."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            receiver = Receiver()
            LoopReactor(loop).nameResolver.resolveHostName(receiver, "localhost")
            await asyncio.sleep(0)
            receiver.resolution.cancel()
            await receiver.complete
            self.assertEqual(receiver.addresses, [])
            await loop.shutdown_default_executor()

        run(main())
