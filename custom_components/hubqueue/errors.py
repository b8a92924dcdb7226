"""What may go wrong between Home Assistant and the hub.

The codes are the hub's own (docs/protocol.md); who shows one to a person translates it:
`failure` in actions.py.
"""

from __future__ import annotations


class HubError(Exception):
    """The hub refused a command.

    retryable: the same command may succeed later. hint: what to do, in the hub's words.
    """

    def __init__(self, code: str, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.retryable = retryable


class LinkDownError(HubError):
    """The hub cannot be reached, or the answer was lost on the way."""

    def __init__(self, message: str) -> None:
        super().__init__("link_down", message, retryable=True)


class AuthError(HubError):
    """The hub does not know this token, or has revoked it."""

    def __init__(self, message: str) -> None:
        super().__init__("not_authenticated", message)


class IncompatibleError(HubError):
    """Something answers that this integration cannot work with."""

    def __init__(self, message: str) -> None:
        super().__init__("incompatible", message)


class ApiMismatchError(IncompatibleError):
    """The hub speaks another API. version: of the hub. key: whom to update, for texts."""

    def __init__(self, version: str, *, is_older: bool) -> None:
        super().__init__(f"The hub has version {version}, which is {'older' if is_older else 'newer'} than this side")
        self.version = version
        self.key = "update_hub" if is_older else "update_integration"


class AnotherHubError(IncompatibleError):
    """Another hub answers at the address: what is meant for ours is not for it."""

    def __init__(self, found: str) -> None:
        super().__init__(f"Another hub answers there: {found}")
        self.found = found
