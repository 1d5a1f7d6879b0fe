import txcql
from twisted.internet.defer import inlineCallbacks
from twisted.internet.task import react

@inlineCallbacks
def main(reactor):
    session = yield txcql.connect(reactor, ["127.0.0.1"])
    result = yield session.execute("SELECT release_version FROM system.local")
    print(result.one())

react(main)
