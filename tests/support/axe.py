"""axe-core, which finds what keeps people from using a page: installed from npm once, into the cache.

`script/setup` may run this module to install ahead (`python -m support.axe` in tests/).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from support.cached import kept, npm

VERSION: Final = "4.14.1"
SERIOUS: Final = ("serious", "critical")
STANDARDS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS: Final = ("color-contrast", "link-in-text-block")  # all that other colours can break

STILL: Final = """
() => Promise.all(document.getAnimations()
  .filter(one => one.effect.getComputedTiming().endTime < Infinity)
  .map(one => one.finished.catch(() => {})))
"""  # until no colour is on its way to another one


def install() -> Path:
    """The script, fetched into the cache if it is not there yet."""
    folder = kept(f"axe-core-{VERSION}", lambda empty: npm(empty, {"axe-core": VERSION}))
    return folder / "node_modules" / "axe-core" / "axe.min.js"


def serious(page: Any, within: str = "html", rules: Sequence[str] = ()) -> list[str]:
    """What axe finds serious or critical on a Playwright page as it is now, one line each.

    within: the elements that are looked at. rules: only these, of the page whose others are looked at elsewhere.
    """
    page.evaluate(install().read_text(encoding="utf-8"))  # by the debugger, which no policy of the page holds back
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": STANDARDS}
    page.evaluate(STILL)
    found = page.evaluate(
        "([within, only]) => axe.run({include: [within]}, {runOnly: only, resultTypes: ['violations']})", [within, only]
    )
    return [
        f"{finding['impact']} {finding['id']}: {finding['help']} at {node['target']}: {node['html'][:200]}"
        for finding in found["violations"]
        if finding["impact"] in SERIOUS
        for node in finding["nodes"]
    ]


if __name__ == "__main__":
    install()
