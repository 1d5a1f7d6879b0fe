import txcql
from twisted.internet.task import react

def main(reactor):
    d = txcql.connect(reactor, ["127.0.0.1"])
    d.addCallback(lambda session: session.execute("SELECT release_version FROM system.local"))
    d.addCallback(lambda result: print(result.one()))
    return d

react(main)
