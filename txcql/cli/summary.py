"""The closing words of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

__all__ = ["Summary", "percentile"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was done, and how long it took.

    :ivar cluster: what it was done on.
    :ivar version: the protocol version.
    :ivar write_seconds: how long writing took.
    :ivar read_seconds: how long reading took.
    :ivar latencies: seconds of each request.
    """

    cluster: str
    version: int
    rows: int
    pages: int
    write_seconds: float
    read_seconds: float
    in_flight_peak: int
    latencies: Sequence[float]

    def __str__(self) -> str:
        seconds = self.write_seconds + self.read_seconds
        requests = len(self.latencies)
        rate = requests / max(seconds, 1e-9)
        ordered = sorted(self.latencies)
        latency = "  ".join(
            f"{name} {1000 * percentile(ordered, share):.1f} ms"
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
        )
        return "\n".join(
            (
                f"{self.cluster}, protocol version {self.version}",
                f"  requests   {requests:,} in {seconds:.2f} s, {rate:,.0f} a second",
                f"  rows       {self.rows:,} written in {self.write_seconds:.2f} s, and read back in "
                f"{self.read_seconds:.2f} s, on {self.pages:,} pages: every one as it was written",
                f"  in flight  {self.in_flight_peak:,} at most",
                f"  latency    {latency}",
            )
        )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed.

    :param ordered: the values in ascending order, at least one.
    :param share: in 0..1.
    """
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
