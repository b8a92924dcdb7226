"""axe-core, which finds what keeps people from using a page: installed from npm once, into the cache.

`script/setup` may run this module to install ahead (`python -m support.axe` in tests/).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from support.cached import kept, npm

VERSION: Final = "4.14.1"
SERIOUS: Final = ("serious", "critical")
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def install() -> Path:
    """The script, fetched into the cache if it is not there yet."""
    folder = kept(f"axe-core-{VERSION}", lambda empty: npm(empty, {"axe-core": VERSION}))
    return folder / "node_modules" / "axe-core" / "axe.min.js"


def serious(page: Any) -> list[str]:
    """What axe finds serious or critical on a Playwright page as it is now, one line each."""
    page.evaluate(install().read_text(encoding="utf-8"))  # by the debugger, which no policy of the page holds back
    found = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
    return [
        f"{finding['impact']} {finding['id']}: {finding['help']} at {node['target']}: {node['html'][:200]}"
        for finding in found["violations"]
        if finding["impact"] in SERIOUS
        for node in finding["nodes"]
    ]


if __name__ == "__main__":
    install()
