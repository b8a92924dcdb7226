"""The server's side of TLS: certificate, key, and client certificates where a CA for them is given."""

from __future__ import annotations

import ssl

from hubqueue.errors import ConfigError
from hubqueue.servers.settings import TlsFiles


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 and newer with this certificate.

    Errors: ConfigError naming the file and what is wrong with it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # No session tickets: connections last, and a client that reads in one thread while it writes in another (as
    # bunqueue's Python client) loses its first reply now and then while OpenSSL takes them in.
    context.num_tickets = 0
    for path in (files.cert, files.key, files.client_ca):
        if path is not None and not path.is_file():
            raise ConfigError(f"The TLS file {path} does not exist", hint="give the path of a PEM file")
    try:
        # the callback keeps OpenSSL from asking for a passphrase on the terminal
        context.load_cert_chain(files.cert, files.key, password=_no_passphrase)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(
            f"The TLS certificate {files.cert} and key {files.key} cannot be used: {error}",
            hint="both must be PEM, the key without a passphrase, and they must belong together",
        ) from error
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(f"The client CA {files.client_ca} cannot be used: {error}", hint="give PEM") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")
