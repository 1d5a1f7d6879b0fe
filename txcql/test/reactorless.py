"""A program that never imports the global reactor, with a hook that makes sure of it.

Run by :mod:`txcql.test.test_reactor_import` in a process of its own: trial and
pytest both import the reactor, and the hook would never fire. With arguments,
it imports the modules that they name, and nothing else: to see the hook bite.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

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


def run_program() -> None:
    """Use a session, by a host name and through a reconnect, on a reactor that is installed nowhere."""
    from twisted.internet.defer import Deferred
    from twisted.internet.selectreactor import SelectReactor
    from twisted.internet.task import deferLater
    from twisted.python.failure import Failure

    import txcql
    from txcql.testing import FakeCluster

    reactor = SelectReactor()
    failures: list[Failure] = []

    async def main() -> None:
        cluster = FakeCluster(reactor)
        ((_, port),) = await cluster.listen()
        session = await txcql.connect(reactor, [f"localhost:{port}"])
        text = "SELECT release_version FROM system.local"
        before = (await session.execute(text)).all()
        await cluster.nodes[0].close_connections()
        while True:
            try:
                after = (await session.execute(text)).all()
                break
            except (txcql.errors.ConnectionLost, txcql.errors.NoNodeAvailable):
                await deferLater(reactor, 0.01)
        assert before == after, (before, after)
        await session.close()
        await cluster.close()

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


def run(planted: Sequence[str]) -> None:
    """Do all of it below the hook."""
    hook = Hook()
    sys.meta_path.insert(0, hook)
    for name in planted:
        importlib.import_module(name)
    count = len(planted) or import_everything()
    run_program()
    if hook.attempts or FORBIDDEN in sys.modules:
        raise ReactorImported(FORBIDDEN)
    print(f"{count} modules imported, the program ran, and no reactor")


if __name__ == "__main__":
    run(sys.argv[1:])
