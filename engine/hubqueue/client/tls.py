"""The client's side of TLS: a context that always checks the certificate."""

from __future__ import annotations

import ssl

from hubqueue.client.address import Tls
from hubqueue.errors import Invalid


def client_context(tls: Tls) -> ssl.SSLContext:
    """A context for these settings.

    Errors: Invalid names the file that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file, cadata=tls.ca_text)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        which = "certificate of the CA" if tls.ca_file is None else f"CA file {tls.ca_file}"
        raise Invalid(f"the {which} cannot be used: {error}", hint="it must be PEM text") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.check_hostname
    if tls.key_file and not tls.cert_file:
        raise Invalid("a client key needs its certificate", hint="give cert_file too")
    if tls.cert_file:
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        except (OSError, ssl.SSLError) as error:
            raise Invalid(f"the client certificate {tls.cert_file} cannot be used: {error}") from error
    return context
