"""The server's side of a WebSocket as aiohttp has it, with two rules of ours that it has no setting for.

A stranger may not send long messages (see `doorstep`). A silent peer is not cut while we are the one who does not read.
They need what aiohttp keeps to itself: in what versions of it, says `libraries`.
"""

from __future__ import annotations

from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from hubqueue.servers.http.preauth import PreAuthLimit


class Socket(web.WebSocketResponse):
    """A WebSocket that is a stranger's until `admit`. refused: the stranger has sent too much; nothing more is read."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.refused = False
        self._doorstep: PreAuthLimit | None = None

    def admit(self) -> None:
        """The client has shown a token: nothing stands between it and aiohttp any more."""
        if self._doorstep is not None and self._req is not None and not self.refused:
            self._req.protocol._payload_parser = self._doorstep.parser
            self._doorstep = None

    def let_go(self) -> None:
        """The connection has ended: no timer of aiohttp keeps what belonged to it."""
        self._cancel_heartbeat()

    def _post_start(self, request: Any, protocol: Any, writer: Any) -> None:
        handler = request.protocol
        early = handler._message_tail  # came with the handshake; aiohttp bounds it
        super()._post_start(request, protocol, writer)
        self._doorstep = PreAuthLimit(handler._payload_parser, self._refuse)
        self._doorstep.note(early)
        handler._payload_parser = self._doorstep

    def _refuse(self) -> None:
        self.refused = True
        if self._reader is not None:
            self._reader.feed_data(
                WSMessage(WSMsgType.ERROR, None, None), 0
            )  # `receive` gives it after what came before

    def _pong_not_received(self) -> None:
        if self._req is not None and self._req.protocol._reading_paused:
            self._reset_heartbeat()  # the pong waits behind what we do not take now
        else:
            super()._pong_not_received()
