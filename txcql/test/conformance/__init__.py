"""One suite of statements for real Cassandra and for its fake: what both answer, compared."""
