"""Does a node answer CQL? Asked in raw bytes, so that the answer does not depend on the driver."""

from __future__ import annotations

import socket
import ssl
import struct

__all__ = ["answers"]

VERSION = 4
STARTUP, READY, AUTHENTICATE, OPTIONS, SUPPORTED = 0x01, 0x02, 0x03, 0x05, 0x06
QUERY, RESULT, AUTH_RESPONSE, AUTH_SUCCESS = 0x07, 0x08, 0x0F, 0x10
HEADER = struct.Struct(">BBhBi")

#: [string map] of STARTUP: CQL_VERSION is 3.0.0.
STARTUP_BODY = b"\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0"

#: A peer's tokens are written when it joins the ring, its data center when gossip tells of it: until both are
#: there, the node refuses a keyspace with replicas in that data center.
PEERS_QUERY = b"SELECT data_center, tokens FROM system.peers"

#: [consistency] ONE and the flag Skip_metadata: the columns are known.
PEERS_BODY = struct.pack(">i", len(PEERS_QUERY)) + PEERS_QUERY + b"\x00\x01\x02"


def answers(
    address: str,
    port: int,
    *,
    timeout: float = 2.0,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
    peers: int = 0,
) -> bool:
    """Ask a node whether it serves clients: OPTIONS must be answered with SUPPORTED.

    Whoever accepts and says something else, or nothing, is not a node that is ready.

    :param address: The node's IP address.
    :param port: Its native port.
    :param timeout: Seconds for each step.
    :param tls: How to speak TLS; None for plaintext.
    :param login: A user name and a password that must be accepted too; None for neither.
    :param peers: How many other nodes it must know, with their data centers and tokens.
    :returns: True if the node serves clients.
    """
    try:
        with socket.create_connection((address, port), timeout) as plain:
            if tls is None:
                return greets(plain, login, peers)
            with tls.wrap_socket(plain, server_hostname=address) as secured:
                return greets(secured, login, peers)
    except OSError:
        return False


def greets(link: socket.socket, login: tuple[str, str] | None, peers: int) -> bool:
    """Go through the questions on an open connection.

    :param link: The connection.
    :param login: A user name and a password, or None.
    :param peers: How many other nodes must be known.
    :returns: True if each had the right answer.
    :raises OSError: if the connection fails.
    """
    if exchange(link, OPTIONS)[0] != SUPPORTED:
        return False
    if login is None and not peers:
        return True
    if exchange(link, STARTUP, STARTUP_BODY)[0] != (READY if login is None else AUTHENTICATE):
        return False
    if login is not None:
        token = b"\x00" + login[0].encode() + b"\x00" + login[1].encode()
        if exchange(link, AUTH_RESPONSE, struct.pack(">i", len(token)) + token)[0] != AUTH_SUCCESS:
            return False
    return not peers or known_peers(link) >= peers


def known_peers(link: socket.socket) -> int:
    """Count the other nodes of which a node knows the data center and the tokens.

    :param link: A connection that may send queries.
    :returns: How many there are.
    :raises OSError: if the connection fails.
    """
    opcode, body = exchange(link, QUERY, PEERS_BODY)
    if opcode != RESULT:
        return 0
    _kind, _flags, columns, rows = struct.unpack_from(">iiii", body)
    place, known = 16, 0
    for _ in range(rows):
        complete = True
        for _ in range(columns):
            [length] = struct.unpack_from(">i", body, place)
            place += 4 + max(length, 0)
            complete = complete and length > 0
        known += complete
    return known


def exchange(link: socket.socket, opcode: int, body: bytes = b"") -> tuple[int | None, bytes]:
    """Send one frame and read its answer.

    :param link: The connection.
    :param opcode: The request's opcode.
    :param body: Its body.
    :returns: The answer's opcode and body; the opcode is None if what came back is no answer to it.
    :raises OSError: if the connection fails, or ends.
    """
    link.sendall(HEADER.pack(VERSION, 0, 0, opcode, len(body)) + body)
    version, _flags, stream, answer, length = HEADER.unpack(receive(link, HEADER.size))
    if version != VERSION | 0x80 or stream != 0 or not 0 <= length <= 1 << 20:
        return None, b""
    return int(answer), receive(link, length)


def receive(link: socket.socket, count: int) -> bytes:
    """Read exactly so many bytes.

    :param link: The connection.
    :param count: How many.
    :returns: The bytes.
    :raises OSError: if the connection ends before.
    """
    parts = bytearray()
    while len(parts) < count:
        part = link.recv(count - len(parts))
        if not part:
            raise ConnectionResetError("the connection ended in the middle of a frame")
        parts += part
    return bytes(parts)
