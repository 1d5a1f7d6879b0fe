def test_names(cassandra_session, cassandra_run):
    cassandra_run(cassandra_session.execute("CREATE TABLE users (id int PRIMARY KEY, name text)"))
    cassandra_run(cassandra_session.execute("INSERT INTO users (id, name) VALUES (?, ?)", [1, "Ada"]))
    result = cassandra_run(cassandra_session.execute("SELECT name FROM users WHERE id = ?", [1]))
    assert result.one().name == "Ada"
