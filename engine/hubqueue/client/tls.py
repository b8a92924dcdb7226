"""The client's side of TLS: a context that checks the other side's certificate, and shows one of ours if it has any."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hubqueue.client.address import Tls
from hubqueue.errors import Invalid

_NO_CERTIFICATE: Final = "it must be PEM text"
_MISMATCH: Final = "KEY_VALUES_MISMATCH"


def client_context(tls: Tls) -> ssl.SSLContext:
    """A context for these settings.

    Errors: Invalid names what cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file, cadata=tls.ca_text)
    except (OSError, ValueError, TypeError) as error:  # ssl.SSLError is an OSError; TypeError: letters beyond ASCII
        which = "certificate of the CA" if tls.ca_file is None else f"CA file {tls.ca_file}"
        raise Invalid(f"the {which} cannot be used: {error}", hint=_NO_CERTIFICATE) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.check_hostname and tls.verify
    if not tls.verify:
        context.verify_mode = ssl.CERT_NONE
    if tls.key_file and not tls.cert_file:
        raise Invalid("a client key needs its certificate", hint="give cert_file too")
    if tls.cert_file:
        _identify(context, tls.cert_file, tls.key_file, f"the client certificate {tls.cert_file}")
    if tls.cert_text is not None:
        for part, words in (("CERTIFICATE", "certificate"), ("PRIVATE KEY", "private key")):
            if f"{part}-----" not in tls.cert_text:
                hint = "it holds the certificate with its chain, and its private key, both PEM"
                raise Invalid(f"there is no {words} in the client certificate", hint=hint)
        with _as_file(tls.cert_text) as path:
            _identify(context, path, None, "the client certificate")
    return context


def _identify(context: ssl.SSLContext, cert: str, key: str | None, which: str) -> None:
    try:
        # the callback keeps OpenSSL from asking for a passphrase on the terminal
        context.load_cert_chain(cert, key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        mismatch = isinstance(error, ssl.SSLError) and error.reason == _MISMATCH
        why = "the private key belongs to another one" if mismatch else str(error)
        hint = "both must be PEM, the key without a passphrase, and they must belong together"
        raise Invalid(f"{which} cannot be used: {why}", hint=hint) from error


def _no_passphrase() -> str:
    raise ValueError("the private key has a passphrase")


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    """OpenSSL reads keys from files only: one in memory where there is such a thing, else one that is soon gone."""
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("client-certificate"), "w") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with TemporaryDirectory() as folder:  # its owner's alone
            path = Path(folder, "client.pem")
            path.write_text(text)
            yield str(path)
