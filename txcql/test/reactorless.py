"""A program that never imports the global reactor, with a hook that makes sure of it.

Run by :mod:`txcql.test.test_reactor_import` in a process of its own: trial and
pytest both import the reactor, and the hook would never fire. With arguments,
it imports the modules that they name, and nothing else: to see the hook bite;
after ``--real``, they are the address, the authority's file, the user name and
the password of a real node.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

FORBIDDEN = "twisted.internet.reactor"

PROGRAMS = ("txcql.__main__", "txcql.cli", "txcql.test")
"""Programs start a reactor of their own choosing, and may import it."""


class ReactorImported(BaseException):
    """Somebody imported the global reactor; no ``except Exception`` hides it."""


class Hook:
    """A finder before all others, that knows one name."""

    attempts = 0

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == FORBIDDEN:
            self.attempts += 1
            raise ReactorImported(name)
        return None


def import_everything() -> int:
    """Import every module of the package but the programs; how many there were."""
    import txcql

    count = 0
    for module in pkgutil.walk_packages(txcql.__path__, "txcql."):
        if not f"{module.name}.".startswith(tuple(f"{name}." for name in PROGRAMS)):
            importlib.import_module(module.name)
            count += 1
    return count


def secure_listen(reactor: Any, cluster: Any, folder: Path) -> Any:
    """Have the first node listen with TLS; what trusts it."""
    from twisted.protocols.tls import TLSMemoryBIOFactory

    import txcql
    from txcql.test.certificates import Authority, ServerConnections, server_context

    authority = Authority(folder)
    certificate, key = authority.sign("node", "127.0.0.1", "localhost")
    server = ServerConnections(server_context(certificate, key))
    node = cluster.nodes[0]
    timed = "clock" in inspect.signature(TLSMemoryBIOFactory.__init__).parameters
    clock = {"clock": reactor} if timed else {}
    factory = TLSMemoryBIOFactory(server, False, node.factory, **clock)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    node.info.port = port.getHost().port
    return port, txcql.TLS(authority.certificate)


def run_until_done(reactor: Any, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a reactor that is installed nowhere, and see that nothing is left of it."""
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    failures: list[Failure] = []

    def start() -> None:
        done = Deferred.fromCoroutine(main())
        done.addErrback(failures.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.callLater(20, reactor.stop)
    reactor.run()
    for failure in failures:
        failure.raiseException()
    assert not reactor.getReaders() or set(reactor.getReaders()) == reactor._internalReaders


async def use_session(reactor: Any, session: Any, disturb: Callable[[], Any]) -> None:
    """Ask, lose the links, and ask until there is an answer again."""
    from twisted.internet.task import deferLater

    import txcql

    text = "SELECT release_version FROM system.local"
    before = (await session.execute(text)).all()
    await disturb()
    while True:
        try:
            after = (await session.execute(text)).all()
            break
        except (txcql.errors.ConnectionLost, txcql.errors.NoNodeAvailable):
            await deferLater(reactor, 0.01)
    assert before == after, (before, after)
    await session.close()


def run_program() -> None:
    """Use a session, by a host name and through a reconnect."""
    from twisted.internet.selectreactor import SelectReactor

    import txcql
    from txcql.testing import FakeCluster

    reactor = SelectReactor()

    async def main() -> None:
        cluster = FakeCluster(reactor)
        ((_, port),) = await cluster.listen()
        session = await txcql.connect(reactor, [f"localhost:{port}"])
        await use_session(reactor, session, cluster.nodes[0].close_connections)
        await cluster.close()

    run_until_done(reactor, main)


def run_secure_program() -> None:
    """The same with TLS and a login, on a loop of asyncio's."""
    import asyncio

    from twisted.internet.asyncioreactor import AsyncioSelectorReactor

    import txcql
    from txcql.testing import FakeCluster

    loop = asyncio.new_event_loop()
    reactor = AsyncioSelectorReactor(loop)

    async def main() -> None:
        cluster = FakeCluster(reactor, credentials={"app": "geheim"})
        with tempfile.TemporaryDirectory() as folder:
            listening, tls = secure_listen(reactor, cluster, Path(folder))
            session = await txcql.connect(
                reactor,
                [f"localhost:{listening.getHost().port}"],
                tls=tls,
                username="app",
                password="geheim",
                require_tls_for_login=True,
            )
            await use_session(reactor, session, cluster.nodes[0].close_connections)
        await listening.stopListening()
        await cluster.close()

    run_until_done(reactor, main)
    loop.close()


def run_real_program(address: str, authority: str, username: str, password: str) -> None:
    """Use a session of a real node, with TLS and a login, on a loop of asyncio's."""
    import asyncio

    from twisted.internet.asyncioreactor import AsyncioSelectorReactor

    import txcql

    loop = asyncio.new_event_loop()
    reactor = AsyncioSelectorReactor(loop)

    async def main() -> None:
        session = await txcql.connect(
            reactor,
            [address],
            tls=txcql.TLS(authority),
            username=username,
            password=password,
            require_tls_for_login=True,
        )
        assert (await session.execute("SELECT key FROM system.local")).one().key == "local"
        await session.close()

    run_until_done(reactor, main)
    loop.close()


def run_asyncio_program() -> None:
    """Use a session on a loop of asyncio's, by a host name."""
    import asyncio

    import txcql
    from txcql.aio.loopreactor import LoopReactor
    from txcql.testing import FakeCluster

    async def main() -> None:
        cluster = FakeCluster(LoopReactor(asyncio.get_running_loop()))
        ((_, port),) = await txcql.aio.as_future(cluster.listen())
        async with txcql.aio.connect([f"localhost:{port}"]) as session:
            result = await session.execute("SELECT release_version FROM system.local")
            assert result.one() is not None
        await txcql.aio.as_future(cluster.close())

    asyncio.run(main())


def run(planted: Sequence[str]) -> None:
    """Do all of it below the hook."""
    hook = Hook()
    sys.meta_path.insert(0, hook)
    if planted[:1] == ["--real"]:
        run_real_program(*planted[1:])
        count = 0
    else:
        for name in planted:
            importlib.import_module(name)
        count = len(planted) or import_everything()
        run_program()
        run_secure_program()
        run_asyncio_program()
    if hook.attempts or FORBIDDEN in sys.modules:
        raise ReactorImported(FORBIDDEN)
    print(f"{count} modules imported, the programs ran, and no reactor")


if __name__ == "__main__":
    run(sys.argv[1:])
