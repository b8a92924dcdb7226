"""A real hub on a real file behind a real TCP listener, and clients that speak plain frames to it."""

from __future__ import annotations

from support.tcp import Connect as Connect
from support.tcp import client as client
from support.tcp import connect as connect
from support.tcp import hub as hub
from support.tcp import server as server
from support.tcp import settings as settings
from support.tcp import tokens as tokens
