"""A private CA and a server certificate for 127.0.0.1 and localhost, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; `other_ca` signed nothing that is in use."""

    ca: Path
    cert: Path
    key: Path
    other_ca: Path


def make(folder: Path, *names: str) -> Certificates:
    """New ones in this folder; names: what the certificate is for instead."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Certificates(folder / "ca.pem", folder / "cert.pem", folder / "key.pem", folder / "other-ca.pem")
    ca = trustme.CA()
    leaf = ca.issue_cert(*(names or ("127.0.0.1", "localhost")))
    ca.cert_pem.write_to_path(str(files.ca))
    leaf.cert_chain_pems[0].write_to_path(str(files.cert))
    leaf.private_key_pem.write_to_path(str(files.key))
    trustme.CA().cert_pem.write_to_path(str(files.other_ca))
    return files
