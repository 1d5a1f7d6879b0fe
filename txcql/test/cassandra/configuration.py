"""From a layout to the files and the command line of one node."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .certificates import PASSWORD, Certificates
from .layouts import Layout
from .loopback import NATIVE_PORT, STORAGE_PORT

__all__ = ["NodePaths", "java_flags", "node_command", "node_settings", "nodetool_command", "write_files"]

#: What Cassandra reaches into, and Java 17 opens only when told.
MODULE_FLAGS = [
    *(
        f"--add-exports={name}=ALL-UNNAMED"
        for name in (
            "java.base/jdk.internal.misc",
            "java.base/java.lang.ref",
            "java.management.rmi/com.sun.jmx.remote.internal.rmi",
            "java.rmi/sun.rmi.registry",
            "java.rmi/sun.rmi.server",
            "java.rmi/sun.rmi.transport.tcp",
            "java.sql/java.sql",
            "jdk.unsupported/sun.misc",
        )
    ),
    *(
        f"--add-opens={name}=ALL-UNNAMED"
        for name in (
            "java.base/java.io",
            "java.base/java.lang",
            "java.base/java.lang.module",
            "java.base/java.nio",
            "java.base/java.util",
            "java.base/java.util.concurrent",
            "java.base/java.util.concurrent.atomic",
            "java.base/jdk.internal.loader",
            "java.base/jdk.internal.math",
            "java.base/jdk.internal.module",
            "java.base/jdk.internal.ref",
            "java.base/jdk.internal.reflect",
            "java.base/jdk.internal.util.jar",
            "java.base/sun.nio.ch",
            "jdk.management/com.sun.management.internal",
        )
    ),
]

#: Names of 4.1 and later, and what 4.0 calls them, without units.
OLD_NAMES = {
    "commitlog_sync_period": "commitlog_sync_period_in_ms",
    "commitlog_segment_size": "commitlog_segment_size_in_mb",
    "memtable_heap_space": "memtable_heap_space_in_mb",
    "user_defined_functions_enabled": "enable_user_defined_functions",
    "materialized_views_enabled": "enable_materialized_views",
}

LOGBACK = """\
<configuration>
<appender name="S" class="ch.qos.logback.core.ConsoleAppender">
<encoder><pattern>%-5level %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
</appender>
<root level="INFO"><appender-ref ref="S"/></root>
</configuration>
"""
SILENT = '<configuration><root level="OFF"/></configuration>\n'


@dataclass(frozen=True)
class NodePaths:
    """Where the files of one node are.

    :ivar folder: The node's own folder.
    """

    folder: Path

    @property
    def conf(self) -> Path:
        """The folder of the configuration."""
        return self.folder / "conf"

    @property
    def log(self) -> Path:
        """What the node writes."""
        return self.folder / "log"

    @property
    def temporary(self) -> Path:
        """Where the native libraries are unpacked, which a killed JVM leaves behind."""
        return self.folder / "tmp"


def node_settings(
    layout: Layout, index: int, addresses: list[str], paths: NodePaths, tls: Certificates | None
) -> dict[str, object]:
    """Put together what ``cassandra.yaml`` of one node says.

    :param layout: The cluster's layout.
    :param index: The node's place in it, from 0.
    :param addresses: The addresses of all nodes.
    :param paths: The node's files.
    :param tls: The cluster's certificates, if the layout asks for TLS.
    :returns: Names and values, as the layout's release wants them.
    """
    node, folder = layout.nodes[index], str(paths.folder)
    settings: dict[str, object] = {
        "cluster_name": "txcql",
        "num_tokens": 8,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "commitlog_sync": "periodic",
        "commitlog_sync_period": "10000ms",
        "data_file_directories": [f"{folder}/data"],
        "commitlog_directory": f"{folder}/commitlog",
        "saved_caches_directory": f"{folder}/saved",
        "hints_directory": f"{folder}/hints",
        "cdc_raw_directory": f"{folder}/cdc",
        "listen_address": addresses[index],
        "rpc_address": addresses[index],
        "storage_port": STORAGE_PORT,
        "native_transport_port": NATIVE_PORT,
        "endpoint_snitch": "GossipingPropertyFileSnitch",
        "seed_provider": seed_provider(addresses),
        "authenticator": "AllowAllAuthenticator",
        "authorizer": "AllowAllAuthorizer",
        "memtable_heap_space": "64MiB",
        "concurrent_reads": 8,
        "concurrent_writes": 8,
        "user_defined_functions_enabled": True,
        "materialized_views_enabled": True,
    }
    if node.token is not None:
        settings |= {"num_tokens": 1, "initial_token": str(node.token), "auto_bootstrap": False}
    if layout.login:
        settings |= {"authenticator": "PasswordAuthenticator", "authorizer": "CassandraAuthorizer"}
        settings["role_manager"] = "CassandraRoleManager"
    if tls is not None:
        settings["client_encryption_options"] = encryption(layout, tls)
    settings |= layout.yaml
    return renamed(settings) if layout.release.old_names else settings


def seed_provider(addresses: list[str]) -> list[object]:
    """Make every node a seed: one that is not gives up when the seed is slow to start.

    :param addresses: The addresses of all nodes.
    :returns: The value of ``seed_provider``.
    """
    seeds = ",".join(f"{address}:{STORAGE_PORT}" for address in addresses)
    return [
        {"class_name": "org.apache.cassandra.locator.SimpleSeedProvider", "parameters": [{"seeds": seeds}]}
    ]


def encryption(layout: Layout, tls: Certificates) -> dict[str, object]:
    """Tell a node to speak nothing but TLS to its clients.

    :param layout: The cluster's layout.
    :param tls: The cluster's certificates.
    :returns: The value of ``client_encryption_options``.
    """
    return {
        "enabled": True,
        "optional": False,
        "keystore": tls.keystore,
        "keystore_password": PASSWORD,
        "store_type": "PKCS12",
        "require_client_auth": layout.client_certificates,
        "truststore": tls.truststore,
        "truststore_password": PASSWORD,
    }


def renamed(settings: Mapping[str, object]) -> dict[str, object]:
    """Say the same as Cassandra 4.0 says it.

    :param settings: Names and values of 4.1 and later.
    :returns: Old names, and numbers without a unit for them.
    """
    result: dict[str, object] = {}
    for name, value in settings.items():
        if name in OLD_NAMES and isinstance(value, str):
            value = int(re.sub(r"(ms|MiB)$", "", value))
        result[OLD_NAMES.get(name, name)] = value
    return result


def write_files(layout: Layout, index: int, paths: NodePaths, settings: Mapping[str, object]) -> None:
    """Write the configuration of one node.

    :param layout: The cluster's layout.
    :param index: The node's place in it, from 0.
    :param paths: The node's files; the folders are made.
    :param settings: What ``cassandra.yaml`` is to say.
    """
    paths.conf.mkdir(parents=True)
    paths.temporary.mkdir()
    node = layout.nodes[index]
    # JSON is YAML, and quotes what needs it.
    yaml = "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())
    texts = {
        "cassandra.yaml": yaml,
        "cassandra-rackdc.properties": f"dc={node.datacenter}\nrack={node.rack}\n",
        "logback.xml": LOGBACK,
        "silent.xml": SILENT,
    }
    for name, text in texts.items():
        (paths.conf / name).write_text(text, encoding="utf-8")


def java_flags(heap: int, temporary: Path) -> list[str]:
    """List the flags that every JVM with Cassandra's classes needs.

    :param heap: The heap, in MiB.
    :param temporary: The folder for what the JVM unpacks.
    :returns: The flags.
    """
    memory = [f"-Xms{heap}M", f"-Xmx{heap}M", "-XX:+UseSerialGC", "-Xss512k"]
    # Without UsePerfData a killed JVM leaves no file in the system's temporary folder.
    own = ["-XX:-UsePerfData", f"-Djava.io.tmpdir={temporary}", "-Djdk.attach.allowAttachSelf=true"]
    return [*memory, *own, *MODULE_FLAGS]


def node_command(java: str, layout: Layout, jars: Path, paths: NodePaths, jmx_port: int) -> list[str]:
    """Make the command line of a node.

    :param java: The path of ``java``.
    :param layout: The cluster's layout.
    :param jars: The folder of the release's jars.
    :param paths: The node's files.
    :param jmx_port: The port for nodetool, on 127.0.0.1.
    :returns: The program and its arguments.
    """
    agent = [f"-javaagent:{jars / layout.release.agent}"] if layout.release.agent else []
    options = {
        "cassandra.config": (paths.conf / "cassandra.yaml").as_uri(),
        "logback.configurationFile": paths.conf / "logback.xml",
        "cassandra.storagedir": paths.folder,
        "cassandra.jmx.local.port": jmx_port,
        "cassandra-foreground": "yes",
        "cassandra.skip_wait_for_gossip_to_settle": 0,
        "cassandra.ring_delay_ms": 1000,
        "cassandra.superuser_setup_delay_ms": 0,
    }
    flags = [*java_flags(layout.heap, paths.temporary), *layout.jvm, *agent]
    flags += [f"-D{name}={value}" for name, value in options.items()]
    return [java, *flags, "-cp", f"{paths.conf}:{jars}/*", "org.apache.cassandra.service.CassandraDaemon"]


def nodetool_command(
    java: str, jars: Path, paths: NodePaths, jmx_port: int, arguments: list[str]
) -> list[str]:
    """Make the command line of nodetool.

    :param java: The path of ``java``.
    :param jars: The folder of the release's jars.
    :param paths: The node's files, among which nodetool keeps its history.
    :param jmx_port: The node's port for it.
    :param arguments: What nodetool is to do.
    :returns: The program and its arguments.
    """
    flags = [*java_flags(64, paths.temporary), "-XX:TieredStopAtLevel=1", f"-Duser.home={paths.folder}"]
    flags.append(f"-Dlogback.configurationFile={paths.conf / 'silent.xml'}")
    tool = ["-cp", f"{jars}/*", "org.apache.cassandra.tools.NodeTool", "-h", "127.0.0.1", "-p", str(jmx_port)]
    return [java, *flags, *tool, *arguments]
