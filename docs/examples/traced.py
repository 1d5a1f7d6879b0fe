"""Spans of requests: each is the child of what made it, and has a child for each attempt."""

import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from twisted.internet.task import react

import txcql
from txcql.integrations.otel import OpenTelemetry

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)


async def main(reactor, contact_point="127.0.0.1"):
    telemetry = OpenTelemetry()
    session = await txcql.connect(reactor, [contact_point], observers=[telemetry])
    traced = telemetry.trace(session)
    with trace.get_tracer("shop").start_as_current_span("GET /release"):
        request = traced.execute("SELECT release_version FROM system.local WHERE key = 'local'")
    await request
    await session.close()

    names = {span.context.span_id: span.name for span in spans.get_finished_spans()}
    for span in sorted(spans.get_finished_spans(), key=lambda span: span.start_time):
        print(span.name, "<-", names[span.parent.span_id] if span.parent else "nothing")
        if span.name.startswith("SELECT"):
            for name in ("db.system.name", "db.namespace", "db.query.text"):
                print(f"  {name}: {span.attributes[name]}")


react(main, sys.argv[1:])
