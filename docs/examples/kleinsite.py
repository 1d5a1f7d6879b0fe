"""A web site on Klein: ``twist txcql --run=kleinsite.make_service``."""

import json
import os

from klein import Klein
from twisted.application.internet import StreamServerEndpointService
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.server import Site

import txcql


class Planets:
    """What the site answers."""

    app = Klein()

    def __init__(self, cassandra):
        self.cassandra = cassandra

    @app.route("/planets/<name>", methods=["GET"])
    async def planet(self, request, name):
        # The session is asked for in each request: while there is none, it says why not.
        result = await self.cassandra.session.execute("SELECT moons FROM planets WHERE name = ?", [name])
        request.setHeader("Content-Type", "application/json")
        planet = result.one()
        if planet is None:
            request.setResponseCode(404)
            return json.dumps({"error": f"no planet {name}"})
        return json.dumps({"name": name, "moons": planet.moons})

    @app.route("/planets/<name>", methods=["PUT"])
    async def put_planet(self, request, name):
        planet = json.load(request.content)
        await self.cassandra.session.execute(
            "INSERT INTO planets (name, moons) VALUES (?, ?)", [name, planet["moons"]]
        )
        return json.dumps({"name": name, **planet})

    @app.route("/planets")
    async def planets(self, request):
        # As many rows as there are, a line of JSON each: no faster than the browser reads them.
        stream = self.cassandra.session.stream("SELECT name, moons FROM planets")
        await stream.deliver_to(request, encode=txcql.json_lines)

    @app.handle_errors(txcql.errors.NoNodeAvailable, txcql.errors.BusyConnectionError)
    def unavailable(self, request, failure):
        request.setResponseCode(503)
        return json.dumps({"error": failure.getErrorMessage()})


def make_service(cassandra):
    """The service of the site; it begins to answer at once, with 503 until there is a session."""
    endpoint = serverFromString(reactor, os.environ.get("SITE", "tcp:8080:interface=127.0.0.1"))
    return StreamServerEndpointService(endpoint, Site(Planets(cassandra).app.resource()))
