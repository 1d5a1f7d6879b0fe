"""``twist txcql``: a session, and a service of one's own that uses it."""

from __future__ import annotations

import ast
from typing import Any, ClassVar

from twisted.application.service import IService, MultiService
from twisted.python.filepath import FilePath
from twisted.python.reflect import namedAny
from twisted.python.usage import Options as UsageOptions, UsageError

from txcql.service import CassandraService

__all__ = ["Options", "makeService"]


class Options(UsageOptions):
    """The options of ``twist txcql``."""

    synopsis = "[--contact-point=HOST …] --run=MODULE.FUNCTION"

    optParameters: ClassVar = [
        ["keyspace", "k", None, "The keyspace of unqualified names."],
        ["local-datacenter", None, None, "The data center whose nodes are used."],
        ["username", "u", None, "The role to log in as."],
        ["password-file", None, None, "The file whose first line is its password."],
        ["drain", None, "2", "Seconds that requests already sent are given at the end."],
        [
            "run",
            "r",
            None,
            "A function that is given the CassandraService, and returns a service that uses it.",
        ],
    ]

    def __init__(self) -> None:
        UsageOptions.__init__(self)  # type: ignore[no-untyped-call]
        self.contact_points: list[str] = []
        self.settings: dict[str, Any] = {}

    def opt_contact_point(self, point: str) -> None:
        """Where to find the cluster: HOST or HOST:PORT; may be given several times. [default: 127.0.0.1]"""
        self.contact_points.append(point)

    opt_c = opt_contact_point

    def opt_set(self, setting: str) -> None:
        """Any other setting of a session, as NAME=VALUE; may be given several times."""
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set takes NAME=VALUE, got {setting!r}")
        try:
            self.settings[name.replace("-", "_")] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            self.settings[name.replace("-", "_")] = value

    def postOptions(self) -> None:
        """
        :raises UsageError: what was given does not fit.
        """
        if self["run"] is None:
            raise UsageError("--run is missing: the function that makes the service which uses the session")
        try:
            self["drain"] = float(self["drain"])
        except ValueError:
            raise UsageError(f"--drain takes seconds, got {self['drain']!r}") from None
        for name in ("local-datacenter", "username"):
            if self[name] is not None:
                self.settings[name.replace("-", "_")] = self[name]
        if self["password-file"] is not None:
            try:
                lines = FilePath(self["password-file"]).getContent().decode().splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"--password-file cannot be read: {error}") from None
            if not lines:
                raise UsageError("--password-file is empty")
            self.settings["password"] = lines[0]


def makeService(options: Options) -> MultiService:
    """The session's service, and within it the one that uses it.

    They start in this order. The service in use is stopped with the session: it should end its own
    work when asked to, within ``drain``.

    :raises UsageError: an option that does not fit.
    """
    from twisted.internet import reactor

    try:
        cassandra = CassandraService(
            reactor,
            options.contact_points or ["127.0.0.1"],
            keyspace=options["keyspace"],
            drain=options["drain"],
            **options.settings,
        )
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    try:
        make = namedAny(options["run"])  # type: ignore[no-untyped-call]
    except Exception as error:
        raise UsageError(f"--run={options['run']} cannot be imported: {error!r}") from error
    user = make(cassandra)
    if not IService.providedBy(user):
        raise UsageError(f"--run={options['run']} must return an IService, got {user!r}")
    parent = MultiService()  # type: ignore[no-untyped-call]
    for service in (cassandra, user):
        service.setServiceParent(parent)  # type: ignore[no-untyped-call]
    return parent
