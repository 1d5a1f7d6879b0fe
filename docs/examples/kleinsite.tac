# twistd -ny kleinsite.tac
import os

from kleinsite import make_service
from twisted.application.service import Application
from twisted.internet import reactor

import txcql

application = Application("planets")
cassandra = txcql.CassandraService(
    reactor, [os.environ.get("CASSANDRA", "127.0.0.1")], keyspace=os.environ.get("KEYSPACE", "shop"), drain=2.0
)
cassandra.setServiceParent(application)
make_service(cassandra).setServiceParent(application)
