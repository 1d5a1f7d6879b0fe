import txcql
from twisted.internet.task import react
async def main(reactor):
    session = await txcql.connect(reactor, ["127.0.0.1"])
    print((await session.execute("SELECT release_version FROM system.local")).one())
react(main)
