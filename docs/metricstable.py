"""``.. metricstable::``: every metric that a session has, as its exporters give it."""

from __future__ import annotations

from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import txcql
from txcql.integrations import metricfamilies
from txcql.integrations.requestmetrics import RequestMetrics
from txcql.testing import FakeCluster, MemoryReactor, Reset

SCHEMA = (
    "CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2}",
    "CREATE TABLE shop.shirts (id int PRIMARY KEY)",
)


def rows() -> list[tuple[str, str, str, str]]:
    """Name, kind, labels and meaning of each metric, of a session that has seen a failure of each kind."""
    reactor = MemoryReactor()
    cluster = FakeCluster(reactor, nodes=2)
    reactor.run(cluster.listen())
    requests = RequestMetrics()
    session = reactor.run(txcql.connect(reactor, cluster.contact_points, observers=[requests]))
    for statement in SCHEMA:
        reactor.run(session.execute(statement))
    cluster.inject(Reset(), times=1)
    reactor.run(session.execute("SELECT id FROM shop.shirts"))
    reactor.run(session.execute("SELECT nothing FROM shop.shirts").addErrback(lambda failure: None))
    families = metricfamilies.metric_families({"": session.snapshot()}, {"": requests}, {"": 0.0})
    reactor.run(session.close())
    found = []
    for family in families:
        name = f"{family.name}_total" if family.kind == metricfamilies.COUNTER else family.name
        labels = ", ".join({label: None for about, _ in family.samples for label in about})
        found.append((name, family.kind, labels, family.help))
    return found


class MetricsTable(SphinxDirective):
    """The directive."""

    def run(self) -> list[Node]:
        self.env.note_dependency(metricfamilies.__file__)
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in (("Metric", "Kind", "Labels", "Meaning"), *rows()):
            cells = [f"``{row[0]}``" if row[1] != "Kind" else row[0], *row[1:]]
            lines += [f"   {'*' if not place else ' '} - {cell}" for place, cell in enumerate(cells)]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("metricstable", MetricsTable)
    return {"parallel_read_safe": True}
