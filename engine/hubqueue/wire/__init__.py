"""Pure bytes of the TCP protocol: frames, command structs, job map. No sockets, no asyncio."""
