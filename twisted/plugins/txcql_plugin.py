"""Tells ``twist`` and ``twistd`` of the subcommand ``txcql``."""

from twisted.application.service import ServiceMaker

serviceMaker = ServiceMaker(
    "txcql",
    "txcql.integrations.twistplugin",
    "a session of a Cassandra cluster, and the service that uses it",
    "txcql",
)
