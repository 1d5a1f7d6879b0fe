"""The closing words of the demo."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txcql.cli.summary import Summary, percentile


class SummaryTests(SynchronousTestCase):
    """:class:`Summary` and :func:`percentile`."""

    def test_text(self) -> None:
        """All of the figures."""
        summary = Summary(
            cluster="10.0.0.1",
            version=5,
            rows=1000,
            pages=2,
            write_seconds=1.5,
            read_seconds=0.5,
            in_flight_peak=512,
            latencies=[0.001 * number for number in range(1, 1003)],
        )
        self.assertEqual(
            str(summary),
            "10.0.0.1, protocol version 5\n"
            "  requests   1,002 in 2.00 s, 501 a second\n"
            "  rows       1,000 written in 1.50 s, and read back in 0.50 s, on 2 pages: "
            "every one as it was written\n"
            "  in flight  512 at most\n"
            "  latency    p50 501.0 ms  p95 952.0 ms  p99 992.0 ms  max 1002.0 ms",
        )

    def test_percentiles(self) -> None:
        """The value that the share of the values does not exceed."""
        values = list(range(1, 11))
        for share, expected in ((0, 1), (0.1, 1), (0.11, 2), (0.5, 5), (0.95, 10), (1, 10)):
            self.assertEqual(percentile(values, share), expected)
        self.assertEqual(percentile([7], 0.5), 7)
