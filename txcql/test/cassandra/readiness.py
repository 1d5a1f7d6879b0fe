"""Does a node answer CQL? Asked in raw bytes, so that the answer does not depend on the driver."""

from __future__ import annotations

import socket
import ssl
import struct

__all__ = ["answers"]

VERSION = 4
ERROR, STARTUP, READY, AUTHENTICATE, OPTIONS, SUPPORTED = 0x00, 0x01, 0x02, 0x03, 0x05, 0x06
AUTH_RESPONSE, AUTH_SUCCESS = 0x0F, 0x10
HEADER = struct.Struct(">BBhBi")

#: [string map] of STARTUP: CQL_VERSION is 3.0.0.
STARTUP_BODY = b"\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0"


def answers(
    address: str,
    port: int,
    *,
    timeout: float = 2.0,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
) -> bool:
    """Ask a node whether it serves clients: OPTIONS must be answered with SUPPORTED.

    Whoever accepts and says something else, or nothing, is not a node that is ready.

    :param address: The node's IP address.
    :param port: Its native port.
    :param timeout: Seconds for each step.
    :param tls: How to speak TLS; None for plaintext.
    :param login: A user name and a password that must be accepted too; None for neither.
    :returns: True if the node serves clients.
    """
    try:
        with socket.create_connection((address, port), timeout) as plain:
            if tls is None:
                return greets(plain, login)
            with tls.wrap_socket(plain, server_hostname=address) as secured:
                return greets(secured, login)
    except OSError:
        return False


def greets(link: socket.socket, login: tuple[str, str] | None) -> bool:
    """Go through the questions on an open connection.

    :param link: The connection.
    :param login: A user name and a password, or None.
    :returns: True if each had the right answer.
    :raises OSError: if the connection fails.
    """
    if exchange(link, OPTIONS) != SUPPORTED:
        return False
    if login is None:
        return True
    if exchange(link, STARTUP, STARTUP_BODY) != AUTHENTICATE:
        return False
    token = b"\x00" + login[0].encode() + b"\x00" + login[1].encode()
    return exchange(link, AUTH_RESPONSE, struct.pack(">i", len(token)) + token) == AUTH_SUCCESS


def exchange(link: socket.socket, opcode: int, body: bytes = b"") -> int | None:
    """Send one frame and read its answer.

    :param link: The connection.
    :param opcode: The request's opcode.
    :param body: Its body.
    :returns: The answer's opcode; None if what came back is no answer to it.
    :raises OSError: if the connection fails, or ends.
    """
    link.sendall(HEADER.pack(VERSION, 0, 0, opcode, len(body)) + body)
    version, _flags, stream, answer, length = HEADER.unpack(receive(link, HEADER.size))
    if version != VERSION | 0x80 or stream != 0 or not 0 <= length <= 1 << 20:
        return None
    receive(link, length)
    return int(answer)


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
