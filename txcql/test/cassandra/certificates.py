"""Certificates for the nodes of one cluster, and for its clients."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .jars import find_java, find_tool
from .problems import CassandraUnavailable

__all__ = ["PASSWORD", "Certificates", "make_certificates"]

#: The password of the key stores, which hold keys that live as long as the cluster.
PASSWORD = "changeit1"

DAYS = "30"


@dataclass(frozen=True)
class Certificates:
    """The files of one cluster's TLS.

    :ivar authority: The certificate that signed all others, PEM.
    :ivar certificate: A client's certificate, PEM.
    :ivar key: That client's key, PEM, without a password.
    :ivar keystore: The nodes' certificate and key, PKCS12, for Cassandra only.
    :ivar truststore: The authority, PKCS12, for Cassandra only.
    """

    authority: str
    certificate: str
    key: str
    keystore: str
    truststore: str

    def context(self) -> ssl.SSLContext:
        """Prepare to speak TLS to the nodes.

        :returns: A context that trusts this authority only, and shows the client's certificate.
        """
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificates(folder: Path, addresses: list[str]) -> Certificates:
    """Make an authority, one certificate for all nodes, and one for clients.

    :param folder: Where the files go; made if need be.
    :param addresses: The nodes' IP addresses, which the nodes' certificate names.
    :returns: The files.
    :raises CassandraUnavailable: if openssl or keytool is missing, or fails.
    """
    folder.mkdir(exist_ok=True)
    openssl = find_tool("openssl", "", "install OpenSSL (on Debian: apt-get install openssl)")
    authority = ["-subj", "/CN=txcql test authority", "-keyout", "ca.key", "-out", "ca.pem"]
    use = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    run(folder, openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", DAYS, *use, *authority)
    names = [f"IP:{address}" for address in addresses]
    sign(folder, openssl, "server", names)
    sign(folder, openssl, "client", ["DNS:client"])
    export = ["pkcs12", "-export", "-name", "node", "-in", "server.pem", "-inkey", "server.key"]
    run(folder, openssl, *export, "-certfile", "ca.pem", "-passout", f"pass:{PASSWORD}", "-out", "server.p12")
    trust = ["-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem", "-keystore", "trust.p12"]
    run(folder, find_java("keytool"), *trust, "-storetype", "PKCS12", "-storepass", PASSWORD)
    files = ("ca.pem", "client.pem", "client.key", "server.p12", "trust.p12")
    return Certificates(*(str(folder / file) for file in files))


def sign(folder: Path, openssl: str, name: str, alternatives: list[str]) -> None:
    """Make a key, and a certificate for it that the authority has signed.

    :param folder: Where the authority is, and where the files go.
    :param openssl: The path of the program.
    :param name: The name of the files, and the common name.
    :param alternatives: The alternative names of the subject.
    :raises CassandraUnavailable: if openssl fails.
    """
    request = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"]
    run(folder, openssl, *request, "-keyout", f"{name}.key", "-out", f"{name}.csr")
    # Python 3.13 verifies strictly, and wants the key identifiers too.
    extensions = ["basicConstraints=CA:FALSE", "authorityKeyIdentifier=keyid", "subjectKeyIdentifier=hash"]
    extensions.append("subjectAltName=" + ",".join(alternatives))
    (folder / f"{name}.ext").write_text("\n".join(extensions) + "\n", encoding="utf-8")
    signing = ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    run(folder, openssl, *signing, "-days", DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.pem")


def run(folder: Path, *command: str) -> None:
    """Run a program to its end.

    :param folder: The folder in which it runs.
    :param command: The program and its arguments.
    :raises CassandraUnavailable: if it fails; the text holds what it said.
    """
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        raise CassandraUnavailable(
            f"{command[0]} {command[1]} failed with status {done.returncode}: {done.stderr or done.stdout}"
        )
