"""Much data both ways, at the pace of whoever is slower."""

import sys

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import react
from zope.interface import implementer

import txcql


@implementer(txcql.interfaces.IRowConsumer)
class Adder:
    """A consumer of rows: it pauses its producer after every thousand rows, and goes on later."""

    def __init__(self, reactor):
        self.reactor = reactor
        self.total = 0
        self.count = 0

    def registerProducer(self, producer, streaming):
        self.producer = producer

    def unregisterProducer(self):
        self.producer = None

    def write(self, row):
        self.total += row.value
        self.count += 1
        if self.count % 1000 == 0:
            self.producer.pauseProducing()
            self.reactor.callLater(0.01, self.producer.resumeProducing)


@implementer(IPushProducer)
class Counter:
    """A producer of statements: it writes until it is paused."""

    def __init__(self, sink, insert, numbers):
        self.sink = sink
        self.insert = insert
        self.numbers = numbers

    def resumeProducing(self):
        self.paused = False
        while not self.paused:
            number = next(self.numbers, None)
            if number is None:
                self.sink.unregisterProducer()
                return
            self.sink.write(self.insert, [number, 1])

    def pauseProducing(self):
        self.paused = True

    def stopProducing(self):
        self.paused = True


async def main(reactor, contact_point="127.0.0.1"):
    session = await txcql.connect(reactor, [contact_point])
    await session.execute(
        "CREATE KEYSPACE muchdata WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    await session.execute("CREATE TABLE muchdata.numbers (id int PRIMARY KEY, value int)")
    insert = await session.prepare("INSERT INTO muchdata.numbers (id, value) VALUES (?, ?)")

    # An iterable: rows are taken from it as there is room for them.
    rows = ((number, number) for number in range(5000))
    await session.execute_many(insert, rows, on_result=lambda number, result: None)

    # A producer: it is paused while there is no room.
    sink = session.sink()
    producer = Counter(sink, insert, iter(range(5000, 6000)))
    sink.registerProducer(producer, True)
    producer.resumeProducing()
    print(await sink.finished)

    # A consumer: no page is asked for while it is paused.
    adder = Adder(reactor)
    stream = session.stream("SELECT value FROM muchdata.numbers", page_size=500)
    print(await stream.deliver_to(adder), "rows, in total", adder.total)

    # Or simply this.
    async with session.stream("SELECT value FROM muchdata.numbers") as stream:
        print(sum([row.value async for row in stream]))

    await session.execute("DROP KEYSPACE muchdata")
    await session.close()


react(main, sys.argv[1:])
