"""What the enqueue node sends to a hub for a msg.enqueue, made by the package's own code in a Node.js process."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
from base64 import b64decode
from functools import cache
from typing import Any, Final

from hubqueue.errors import Invalid
from support.node_red import PACKAGE, tools

_SCRIPT: Final = """
const { askedOf, pushFields } = require('./lib/pushing');
const { encodeFrame } = require('./lib/frames');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  let answer;
  try {
    const fields = pushFields({ set: { queue: 'q' }, asked: askedOf({ enqueue: JSON.parse(line) }), data: {} });
    answer = { frame: encodeFrame({ cmd: 'PUSH', ...fields }).toString('base64') };
  } catch (error) {
    answer = { code: error.code, message: error.message };
  }
  console.log(JSON.stringify(answer));
});
"""
_HEADER_BYTES: Final = 4


def push(enqueue: dict[str, Any]) -> bytes:
    """The PUSH of a message with this msg.enqueue, as the hub gets it. Errors: Invalid."""
    process = _node()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(enqueue) + "\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    if "frame" not in answer:
        assert answer["code"] == "HQ_INVALID", answer
        raise Invalid(answer["message"])
    return b64decode(answer["frame"])[_HEADER_BYTES:]


@cache
def _node() -> subprocess.Popen[str]:
    """One for all tests of this process."""
    folder = tools() / "node_modules"
    process = subprocess.Popen(
        [str(folder / ".bin" / "node"), "-e", _SCRIPT],
        cwd=PACKAGE,
        env={**os.environ, "NODE_PATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process
