"""A private CA, a server certificate for 127.0.0.1 and localhost, and a client certificate, as files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files. `other_ca` signed nothing that is in use; `client` holds a certificate and its key."""

    ca: Path
    cert: Path
    key: Path
    other_ca: Path
    client: Path


def make(
    folder: Path, *names: str, until: datetime | None = None, client_until: datetime | None = None
) -> Certificates:
    """New ones in this folder; names: what the certificate is for instead. until: when they end."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Certificates(*(folder / f"{name}.pem" for name in ("ca", "cert", "key", "other-ca", "client")))
    ca = trustme.CA()
    leaf = ca.issue_cert(*(names or ("127.0.0.1", "localhost")), not_after=until)
    client = ca.issue_cert("client@example.org", not_after=client_until)
    ca.cert_pem.write_to_path(str(files.ca))
    leaf.cert_chain_pems[0].write_to_path(str(files.cert))
    leaf.private_key_pem.write_to_path(str(files.key))
    trustme.CA().cert_pem.write_to_path(str(files.other_ca))
    client.private_key_and_cert_chain_pem.write_to_path(str(files.client))
    return files
