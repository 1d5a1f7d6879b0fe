"""The tables of the server's own keyspaces, as Cassandra 5.0.5 describes them.

A line with two words begins a table: its name and its id, ``-`` for a virtual table. What follows is its
CREATE TABLE, without the options that have their default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["SYSTEM_REPLICATIONS", "system_tables"]

_LOCATOR = "org.apache.cassandra.locator."

SYSTEM_REPLICATIONS: Mapping[str, Mapping[str, str]] = {
    "system": {"class": _LOCATOR + "LocalStrategy"},
    "system_schema": {"class": _LOCATOR + "LocalStrategy"},
    "system_auth": {"class": _LOCATOR + "SimpleStrategy", "replication_factor": "1"},
    "system_distributed": {"class": _LOCATOR + "SimpleStrategy", "replication_factor": "3"},
    "system_traces": {"class": _LOCATOR + "SimpleStrategy", "replication_factor": "2"},
    "system_virtual_schema": {"class": _LOCATOR + "LocalStrategy"},
}
"""The keyspaces and how they are replicated."""


def system_tables(keyspace: str) -> Iterator[tuple[str, str, str]]:
    """Name, id and CREATE TABLE of every table of a keyspace of the server's own."""
    name = identity = ""
    pieces: list[str] = []
    for line in _TABLES[keyspace].splitlines():
        words = line.split()
        if len(line) - len(line.lstrip()) == _NAME_INDENT and len(words) == 2:
            if pieces:
                yield name, identity, f'CREATE TABLE "{name}" {" ".join(pieces)}'
            name, identity = words
            pieces = []
        elif words:
            pieces.append(line.strip())
    yield name, identity, f'CREATE TABLE "{name}" {" ".join(pieces)}'


_NAME_INDENT = 8

_TABLES = {
    "system": """
        available_ranges c539fcab-d65a-31d1-8133-d25605643ee3
            (keyspace_name text PRIMARY KEY, ranges set<blob>) WITH comment = 'available
            keyspace/ranges during bootstrap/replace that are ready to be served' AND
            gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        available_ranges_v2 4224a088-2ac9-3d0c-889d-fbb5f0facda0
            (keyspace_name text PRIMARY KEY, full_ranges set<blob>, transient_ranges set<blob>) WITH
            comment = 'available keyspace/ranges during bootstrap/replace that are ready to be
            served' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        batches 919a4bc5-7a33-3573-b03e-13fc3f68b465
            (id timeuuid PRIMARY KEY, version int, mutations list<blob>) WITH comment = 'batches
            awaiting replay' AND compaction = {'class':
            'org.apache.cassandra.db.compaction.SizeTieredCompactionStrategy', 'max_threshold':
            '32', 'min_threshold': '2'} AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms =
            3600000
        built_views 4b3c50a9-ea87-3d76-9101-6dbc9c38494a
            (keyspace_name text, view_name text, status_replicated boolean, PRIMARY KEY
            (keyspace_name, view_name)) WITH comment = 'built views' AND gc_grace_seconds = 0 AND
            memtable_flush_period_in_ms = 3600000
        compaction_history b4dbb7b4-dc49-3fb5-b3bf-ce6e434832ca
            (id timeuuid PRIMARY KEY, bytes_in bigint, bytes_out bigint, columnfamily_name text,
            compacted_at timestamp, compaction_properties frozen<map<text, text>>, keyspace_name
            text, rows_merged map<int, bigint>) WITH comment = 'week-long compaction history' AND
            default_time_to_live = 604800 AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms =
            3600000
        IndexInfo 9f5c6374-d485-3229-9a0a-5094af9ad1e3
            (table_name text, index_name text, value blob, PRIMARY KEY (table_name, index_name))
            WITH comment = 'built column indexes' AND gc_grace_seconds = 0 AND
            memtable_flush_period_in_ms = 3600000
        local 7ad54392-bcdd-35a6-8417-4e047860b377
            (key text PRIMARY KEY, bootstrapped text, broadcast_address inet, broadcast_port int,
            cluster_name text, cql_version text, data_center text, gossip_generation int, host_id
            uuid, listen_address inet, listen_port int, native_protocol_version text, partitioner
            text, rack text, release_version text, rpc_address inet, rpc_port int, schema_version
            uuid, tokens set<text>, truncated_at map<uuid, blob>) WITH comment = 'information about
            the local node' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        paxos b7b7f0c2-fd0a-3410-8c05-3ef614bb7c2d
            (row_key blob, cf_id uuid, in_progress_ballot timeuuid, in_progress_read_ballot
            timeuuid, most_recent_commit blob, most_recent_commit_at timeuuid,
            most_recent_commit_version int, proposal blob, proposal_ballot timeuuid,
            proposal_version int, PRIMARY KEY (row_key, cf_id)) WITH comment = 'in-progress paxos
            proposals' AND compaction = {'class':
            'org.apache.cassandra.db.compaction.LeveledCompactionStrategy', 'max_threshold': '32',
            'min_threshold': '4'} AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        paxos_repair_history ecb86667-40b2-3316-bb91-e612c8047457
            (keyspace_name text, table_name text, points frozen<list<frozen<tuple<blob,
            timeuuid>>>>, PRIMARY KEY (keyspace_name, table_name)) WITH comment = 'paxos repair
            history' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        peer_events 59dfeaea-8db2-3341-91ef-109974d81484
            (peer inet PRIMARY KEY, hints_dropped map<timeuuid, int>) WITH comment = 'events related
            to peers' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        peer_events_v2 0e65065f-e401-38ed-9507-b9213fae8d11
            (peer inet, peer_port int, hints_dropped map<timeuuid, int>, PRIMARY KEY (peer,
            peer_port)) WITH comment = 'events related to peers' AND gc_grace_seconds = 0 AND
            memtable_flush_period_in_ms = 3600000
        peers 37f71aca-7dc2-383b-a706-72528af04d4f
            (peer inet PRIMARY KEY, data_center text, host_id uuid, preferred_ip inet, rack text,
            release_version text, rpc_address inet, schema_version uuid, tokens set<text>) WITH
            comment = 'information about known peers in the cluster' AND gc_grace_seconds = 0 AND
            memtable_flush_period_in_ms = 3600000
        peers_v2 c4325fbb-8e5e-3baf-bd07-0f9250ed818e
            (peer inet, peer_port int, data_center text, host_id uuid, native_address inet,
            native_port int, preferred_ip inet, preferred_port int, rack text, release_version text,
            schema_version uuid, tokens set<text>, PRIMARY KEY (peer, peer_port)) WITH comment =
            'information about known peers in the cluster' AND gc_grace_seconds = 0 AND
            memtable_flush_period_in_ms = 3600000
        prepared_statements 18a9c257-6a0c-3841-ba71-8cd529849fef
            (prepared_id blob PRIMARY KEY, logged_keyspace text, query_string text) WITH comment =
            'prepared statements' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        repairs a3d277d1-cfaf-36f5-a2a7-38d5eea9ad6a
            (parent_id timeuuid PRIMARY KEY, coordinator inet, coordinator_port int, last_update
            timestamp, repaired_at timestamp, started_at timestamp, state int, cfids set<uuid>,
            participants set<inet>, participants_wp set<text>, ranges set<blob>) WITH comment =
            'repairs' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        size_estimates 618f817b-005f-3678-b8a4-53f3930b8e86
            (keyspace_name text, table_name text, range_start text, range_end text,
            mean_partition_size bigint, partitions_count bigint, PRIMARY KEY (keyspace_name,
            table_name, range_start, range_end)) WITH comment = 'per-table primary range size
            estimates, table is deprecated in favor of table_estimates' AND gc_grace_seconds = 0 AND
            memtable_flush_period_in_ms = 3600000
        sstable_activity 5a1ff267-ace0-3f12-8563-cfae6103c65e
            (keyspace_name text, columnfamily_name text, generation int, rate_120m double, rate_15m
            double, PRIMARY KEY ((keyspace_name, columnfamily_name, generation))) WITH comment =
            'historic sstable read rates' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms =
            3600000
        sstable_activity_v2 62efe31f-3be8-310c-8d29-8963439c1288
            (keyspace_name text, table_name text, id text, rate_120m double, rate_15m double,
            PRIMARY KEY ((keyspace_name, table_name, id))) WITH comment = 'historic sstable read
            rates' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        table_estimates 176c39cd-b93d-33a5-a218-8eb06a56f66e
            (keyspace_name text, table_name text, range_type text, range_start text, range_end text,
            mean_partition_size bigint, partitions_count bigint, PRIMARY KEY (keyspace_name,
            table_name, range_type, range_start, range_end)) WITH comment = 'per-table range size
            estimates' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        top_partitions 7e5a361c-317c-351f-b15f-ffd8afd3dd4b
            (keyspace_name text, table_name text, top_type text, last_update timestamp, top
            frozen<list<frozen<tuple<text, bigint>>>>, PRIMARY KEY (keyspace_name, table_name,
            top_type)) WITH comment = 'Stores the top partitions' AND gc_grace_seconds = 0 AND
            memtable_flush_period_in_ms = 3600000
        transferred_ranges 6cad20f7-d4f5-3af2-b6e2-0da33c6c1f83
            (operation text, keyspace_name text, peer inet, ranges set<blob>, PRIMARY KEY
            ((operation, keyspace_name), peer)) WITH comment = 'record of transferred ranges for
            streaming operation' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms = 3600000
        transferred_ranges_v2 1ff78f1a-7df1-3a2a-a998-6f4932270af5
            (operation text, keyspace_name text, peer inet, peer_port int, ranges set<blob>, PRIMARY
            KEY ((operation, keyspace_name), peer, peer_port)) WITH comment = 'record of transferred
            ranges for streaming operation' AND gc_grace_seconds = 0 AND memtable_flush_period_in_ms
            = 3600000
        view_builds_in_progress 6c22df66-c3bd-3df6-b74d-21179c6a9fe9
            (keyspace_name text, view_name text, start_token text, end_token text, keys_built
            bigint, last_token text, PRIMARY KEY (keyspace_name, view_name, start_token, end_token))
            WITH comment = 'views builds current progress' AND gc_grace_seconds = 0 AND
            memtable_flush_period_in_ms = 3600000
        """,
    "system_schema": """
        aggregates 924c5587-2e3a-345b-b10c-12f37c1ba895
            (keyspace_name text, aggregate_name text, argument_types frozen<list<text>>, final_func
            text, initcond text, return_type text, state_func text, state_type text, PRIMARY KEY
            (keyspace_name, aggregate_name, argument_types)) WITH comment = 'user defined aggregate
            definitions' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = 3600000
        column_masks 738cc5ed-0168-3268-b9d1-853d4bc278af
            (keyspace_name text, table_name text, column_name text, function_argument_nulls
            frozen<list<boolean>>, function_argument_types frozen<list<text>>,
            function_argument_values frozen<list<text>>, function_keyspace text, function_name text,
            PRIMARY KEY (keyspace_name, table_name, column_name)) WITH comment = 'column dynamic
            data masks' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = 3600000
        columns 24101c25-a2ae-3af7-87c1-b40ee1aca33f
            (keyspace_name text, table_name text, column_name text, clustering_order text,
            column_name_bytes blob, kind text, position int, type text, PRIMARY KEY (keyspace_name,
            table_name, column_name)) WITH comment = 'column definitions' AND gc_grace_seconds =
            604800 AND memtable_flush_period_in_ms = 3600000
        dropped_columns 5e7583b5-f3f4-3af1-9a39-b7e1d6f5f11f
            (keyspace_name text, table_name text, column_name text, dropped_time timestamp, kind
            text, type text, PRIMARY KEY (keyspace_name, table_name, column_name)) WITH comment =
            'dropped column registry' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms
            = 3600000
        functions 96489b79-80be-3e14-a701-66a0b9159450
            (keyspace_name text, function_name text, argument_types frozen<list<text>>,
            argument_names frozen<list<text>>, body text, called_on_null_input boolean, language
            text, return_type text, PRIMARY KEY (keyspace_name, function_name, argument_types)) WITH
            comment = 'user defined function definitions' AND gc_grace_seconds = 604800 AND
            memtable_flush_period_in_ms = 3600000
        indexes 0feb57ac-311f-382f-ba6d-9024d305702f
            (keyspace_name text, table_name text, index_name text, kind text, options
            frozen<map<text, text>>, PRIMARY KEY (keyspace_name, table_name, index_name)) WITH
            comment = 'secondary index definitions' AND gc_grace_seconds = 604800 AND
            memtable_flush_period_in_ms = 3600000
        keyspaces abac5682-dea6-31c5-b535-b3d6cffd0fb6
            (keyspace_name text PRIMARY KEY, durable_writes boolean, replication frozen<map<text,
            text>>) WITH comment = 'keyspace definitions' AND gc_grace_seconds = 604800 AND
            memtable_flush_period_in_ms = 3600000
        tables afddfb9d-bc1e-3068-8056-eed6c302ba09
            (keyspace_name text, table_name text, additional_write_policy text, allow_auto_snapshot
            boolean, bloom_filter_fp_chance double, caching frozen<map<text, text>>, cdc boolean,
            comment text, compaction frozen<map<text, text>>, compression frozen<map<text, text>>,
            crc_check_chance double, dclocal_read_repair_chance double, default_time_to_live int,
            extensions frozen<map<text, blob>>, flags frozen<set<text>>, gc_grace_seconds int, id
            uuid, incremental_backups boolean, max_index_interval int, memtable text,
            memtable_flush_period_in_ms int, min_index_interval int, read_repair text,
            read_repair_chance double, speculative_retry text, PRIMARY KEY (keyspace_name,
            table_name)) WITH comment = 'table definitions' AND gc_grace_seconds = 604800 AND
            memtable_flush_period_in_ms = 3600000
        triggers 4df70b66-6b05-3251-95a1-32b54005fd48
            (keyspace_name text, table_name text, trigger_name text, options frozen<map<text,
            text>>, PRIMARY KEY (keyspace_name, table_name, trigger_name)) WITH comment = 'trigger
            definitions' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = 3600000
        types 5a8b1ca8-6602-3f77-a045-9273d308917a
            (keyspace_name text, type_name text, field_names frozen<list<text>>, field_types
            frozen<list<text>>, PRIMARY KEY (keyspace_name, type_name)) WITH comment = 'user defined
            type definitions' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms =
            3600000
        views 9786ac1c-dd58-3201-a7cd-ad556410c985
            (keyspace_name text, view_name text, additional_write_policy text, allow_auto_snapshot
            boolean, base_table_id uuid, base_table_name text, bloom_filter_fp_chance double,
            caching frozen<map<text, text>>, cdc boolean, comment text, compaction frozen<map<text,
            text>>, compression frozen<map<text, text>>, crc_check_chance double,
            dclocal_read_repair_chance double, default_time_to_live int, extensions frozen<map<text,
            blob>>, gc_grace_seconds int, id uuid, include_all_columns boolean, incremental_backups
            boolean, max_index_interval int, memtable text, memtable_flush_period_in_ms int,
            min_index_interval int, read_repair text, read_repair_chance double, speculative_retry
            text, where_clause text, PRIMARY KEY (keyspace_name, view_name)) WITH comment = 'view
            definitions' AND gc_grace_seconds = 604800 AND memtable_flush_period_in_ms = 3600000
        """,
    "system_virtual_schema": """
        columns -
            (keyspace_name text, table_name text, column_name text, clustering_order text,
            column_name_bytes blob, kind text, position int, type text, PRIMARY KEY (keyspace_name,
            table_name, column_name)) WITH comment = 'virtual column definitions'
        keyspaces -
            (keyspace_name text PRIMARY KEY) WITH comment = 'virtual keyspace definitions'
        tables -
            (keyspace_name text, table_name text, comment text, PRIMARY KEY (keyspace_name,
            table_name)) WITH comment = 'virtual table definitions'
        """,
    "system_auth": """
        cidr_groups 9c48af00-13f6-3059-bb0e-8fcabba6eecb
            (cidr_group text PRIMARY KEY, cidrs frozen<set<frozen<tuple<inet, smallint>>>>) WITH
            comment = 'cidr groups to cidrs mapping' AND gc_grace_seconds = 7776000
        cidr_permissions b8b43d5f-d6c0-331c-8f7d-765ea658f4c4
            (role text PRIMARY KEY, cidr_groups frozen<set<text>>) WITH comment = 'user cidr
            permissions' AND gc_grace_seconds = 7776000
        identity_to_role 0bd47a48-d6ba-3c8e-b442-0f6349329bda
            (identity text PRIMARY KEY, role text) WITH comment = 'mtls authorized identities lookup
            table' AND gc_grace_seconds = 7776000
        network_permissions d46780c2-2f1c-3db9-b4c1-b8d9fbc0cc23
            (role text PRIMARY KEY, dcs frozen<set<text>>) WITH comment = 'user network permissions'
            AND gc_grace_seconds = 7776000
        resource_role_permissons_index 5f2fbdad-91f1-3946-bd25-d5da3a5c35ec
            (resource text, role text, PRIMARY KEY (resource, role)) WITH comment = 'index of db
            roles with permissions granted on a resource' AND gc_grace_seconds = 7776000
        role_members 0ecdaa87-f8fb-3e60-88d1-74fb36fe5c0d
            (role text, member text, PRIMARY KEY (role, member)) WITH comment = 'role memberships
            lookup table' AND gc_grace_seconds = 7776000
        role_permissions 3afbe79f-2194-31a7-add7-f5ab90d8ec9c
            (role text, resource text, permissions set<text>, PRIMARY KEY (role, resource)) WITH
            comment = 'permissions granted to db roles' AND gc_grace_seconds = 7776000
        roles 5bc52802-de25-35ed-aeab-188eecebb090
            (role text PRIMARY KEY, can_login boolean, is_superuser boolean, salted_hash text,
            member_of set<text>) WITH comment = 'role definitions' AND gc_grace_seconds = 7776000
        """,
    "system_traces": """
        events 8826e8e9-e16a-3728-8753-3bc1fc713c25
            (session_id uuid, event_id timeuuid, activity text, source inet, source_elapsed int,
            source_port int, thread text, PRIMARY KEY (session_id, event_id)) WITH comment =
            'tracing events' AND gc_grace_seconds = 0
        sessions c5e99f16-8677-3914-b17e-960613512345
            (session_id uuid PRIMARY KEY, client inet, command text, coordinator inet,
            coordinator_port int, duration int, request text, started_at timestamp, parameters
            map<text, text>) WITH comment = 'tracing sessions' AND gc_grace_seconds = 0
        """,
    "system_distributed": """
        parent_repair_history deabd734-b99d-3b9c-92e5-fd92eb5abf14
            (parent_id timeuuid PRIMARY KEY, exception_message text, exception_stacktrace text,
            finished_at timestamp, keyspace_name text, started_at timestamp, columnfamily_names
            set<text>, options map<text, text>, requested_ranges set<text>, successful_ranges
            set<text>) WITH comment = 'Repair history' AND compaction = {'class':
            'org.apache.cassandra.db.compaction.TimeWindowCompactionStrategy',
            'compaction_window_size': '1', 'compaction_window_unit': 'DAYS', 'max_threshold': '32',
            'min_threshold': '4'} AND default_time_to_live = 2592000
        partition_denylist d6123acc-8649-3496-9d4e-f3fe39a6018b
            (ks_name text, table_name text, key blob, PRIMARY KEY ((ks_name, table_name), key)) WITH
            comment = 'Partition keys which have been denied access'
        repair_history 759fffad-624b-3181-80ee-fa9a52d1f627
            (keyspace_name text, columnfamily_name text, id timeuuid, coordinator inet,
            coordinator_port int, exception_message text, exception_stacktrace text, finished_at
            timestamp, parent_id timeuuid, range_begin text, range_end text, started_at timestamp,
            status text, participants set<inet>, participants_v2 set<text>, PRIMARY KEY
            ((keyspace_name, columnfamily_name), id)) WITH comment = 'Repair history' AND compaction
            = {'class': 'org.apache.cassandra.db.compaction.TimeWindowCompactionStrategy',
            'compaction_window_size': '1', 'compaction_window_unit': 'DAYS', 'max_threshold': '32',
            'min_threshold': '4'} AND default_time_to_live = 2592000
        view_build_status 5582b59f-8e4e-35e1-b913-3acada51eb04
            (keyspace_name text, view_name text, host_id uuid, status text, PRIMARY KEY
            ((keyspace_name, view_name), host_id)) WITH comment = 'Materialized View build status'
        """,
}
