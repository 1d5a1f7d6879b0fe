"""A real Cassandra for tests: leased by name, started from its Maven jars, ended with its last holder.

The reference for what is configured here was measured on Java 17 and Linux.
"""

from .leases import Lease, Node, lease
from .problems import CassandraUnavailable, CommandFailed

__all__ = ["CassandraUnavailable", "CommandFailed", "Lease", "Node", "lease"]
