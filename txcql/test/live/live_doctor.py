"""``doctor`` on real nodes: the mistakes that only they can make."""

from __future__ import annotations

import io

import pytest

from txcql.cli.command import CommandFailed
from txcql.cli.commandline import parse_arguments
from txcql.test.cassandra import lease
from txcql.test.certificates import Authority
from txcql.test.live.conftest import reactor_sockets
from txcql.test.live.waiting import eventually


@pytest.fixture(scope="module")
def secure():
    """Lease a node that speaks TLS only and asks for a login."""
    with lease("secure") as held:
        yield held


async def examined(reactor, held, *arguments):
    """What the command says of a cluster, and what it fails with, if so."""
    before = reactor_sockets()
    node = held.nodes[0]
    output = io.StringIO()
    found = parse_arguments(["doctor", "--contact-point", f"{node.address}:{node.port}", *arguments])
    try:
        await found.command.run(reactor, found, output)
    except CommandFailed as failed:
        # The end of TLS is waited for, but not by who is told of the failure.
        await eventually(reactor, lambda: reactor_sockets() <= before)
        return output.getvalue(), str(failed)
    return output.getvalue(), ""


async def test_all_is_well(reactor, secure):
    """With TLS, a login and a keyspace."""
    username, password = secure.login
    text, failure = await examined(
        reactor, secure, "--tls-trust", str(secure.tls.authority), "--username", username,
        "--password", password, "--keyspace", "system_schema",
    )  # fmt: skip
    assert failure == ""
    assert text.endswith("everything is well\n")
    assert "TLS:         the certificate is accepted\n" in text
    assert f"login:       as {username}\n" in text


async def test_mistakes_with_a_secure_node(reactor, secure, tmp_path):
    """Each has its step and its cause."""
    stranger = Authority(tmp_path, "stranger")
    trusted = ("--tls-trust", str(secure.tls.authority))
    for step, cause, arguments in (
        ("TLS", "speaks TLS, and this link does not: give tls=", ()),
        ("TLS", "its authority is not trusted", ("--tls-trust", str(stranger.certificate))),
        ("login", "give username and password", trusted),
        ("login", "are incorrect", (*trusted, "--username", "cassandra", "--password", "wrong")),
    ):
        text, failure = await examined(reactor, secure, *arguments)
        assert failure.startswith(f"it fails at the {step}: "), failure
        last = text.splitlines()[-1]
        assert last.startswith(f"{step}:") and cause in last, text


async def test_mistakes_with_a_plain_node(reactor, cassandra, tmp_path):
    """TLS where there is none; a keyspace and a data center that do not exist."""
    authority = Authority(tmp_path)
    for step, cause, arguments in (
        ("TLS", "does not speak TLS", ("--tls-trust", str(authority.certificate))),
        ("keyspace", 'keyspace "nokeyspace" does not exist', ("--keyspace", "nokeyspace")),
        ("data center", "there are: dc1 (1 nodes)", ("--local-datacenter", "Europe")),
    ):
        text, failure = await examined(reactor, cassandra, *arguments)
        assert failure.startswith(f"it fails at the {step}: "), failure
        last = text.splitlines()[-1]
        assert last.startswith(f"{step}:") and cause in last, text
