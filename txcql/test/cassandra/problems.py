"""What can go wrong between a test and its Cassandra, each with a text that says what to do."""

from __future__ import annotations

__all__ = ["CassandraUnavailable", "CommandFailed"]


class CassandraUnavailable(RuntimeError):
    """The cluster that a test needs is not there, and cannot be had."""


class CommandFailed(CassandraUnavailable):
    """The cluster is there, but what was asked of one of its nodes was not done."""
