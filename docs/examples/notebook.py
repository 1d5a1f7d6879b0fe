# %%
import os

import txcql

session = await txcql.aio.connect([os.environ.get("CASSANDRA", "127.0.0.1")])
session

# %%
result = await session.execute("SELECT keyspace_name, table_name FROM system_schema.tables")
result.column("keyspace_name")[:3]

# %%
frame = result.to_pandas()
frame.groupby("keyspace_name").size().sort_values(ascending=False).head(3)

# %%
await session.close()
