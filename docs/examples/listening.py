"""What is known of the cluster, and being told when it changes."""

import sys

from twisted.internet.task import react
from zope.interface import implementer

import txcql
from txcql.interfaces import ISchemaListener


@implementer(ISchemaListener)
class Announcer:
    def schema_added(self, item):
        print(f"added: {type(item).__name__} {item.name}")

    def schema_changed(self, old, new):
        print(f"changed: {type(new).__name__} {new.name}")

    def schema_removed(self, item):
        print(f"removed: {type(item).__name__} {item.name}")


async def main(reactor, contact_point="127.0.0.1"):
    session = await txcql.connect(reactor, [contact_point], schema_metadata=["listening"])
    cluster = session.cluster
    for node in cluster.nodes.values():
        print(f"{node.datacenter}/{node.rack}, {node.distance}: Cassandra {node.release_version}")

    cluster.add_listener(Announcer())
    await session.execute("""
        CREATE KEYSPACE listening WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}
    """)
    await session.execute("CREATE TABLE listening.users (id uuid PRIMARY KEY, name text)")
    # The driver reads what events tell of, within a second or two; this reads it now.
    await cluster.refresh()

    users = cluster.keyspaces["listening"].tables["users"]
    print(users.as_cql().partition(" WITH ")[0])

    await session.execute("DROP KEYSPACE listening")
    await cluster.refresh()
    await session.close()


react(main, sys.argv[1:])
