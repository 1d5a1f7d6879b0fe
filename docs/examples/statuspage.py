"""A site with a status page at /cassandra: ``python statuspage.py CONTACT_POINT``."""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Site

import txcql
from txcql.integrations.web import RequestMetrics, StatusResource


async def main(reactor, contact_point="127.0.0.1"):
    requests = RequestMetrics()
    session = await txcql.connect(reactor, [contact_point], observers=[requests])
    root = Resource()
    root.putChild(b"cassandra", StatusResource(session, reactor, requests, title="shop"))
    port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/cassandra/", flush=True)
    await Deferred()  # until Ctrl-C


react(main, sys.argv[1:])
