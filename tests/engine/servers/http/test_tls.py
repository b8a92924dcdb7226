"""HTTPS: the certificate is shown, nothing else is spoken, and cookies stay on it."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest

from hubqueue.errors import ConfigError
from support import certificates
from support.http import app_of

SECRET = "admin-secret"


async def test_https_speaks_tls_alone_and_its_cookies_are_secure(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    async with app_of(tmp_path, tokens=(SECRET,), cert_file=files.cert, key_file=files.key) as app:
        assert app.doors.http is not None
        where = f"127.0.0.1:{app.doors.http.port}"
        context = ssl.create_default_context(cafile=files.ca)
        async with aiohttp.ClientSession() as session:
            form = {"token": SECRET}
            async with session.post(f"https://{where}/login", data=form, ssl=context, allow_redirects=False) as answer:
                assert "Secure" in answer.headers["Set-Cookie"]
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"http://{where}/")
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(f"https://{where}/")


async def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"wrong\.pem"):
        async with app_of(tmp_path, cert_file=wrong, key_file=wrong):
            pass
