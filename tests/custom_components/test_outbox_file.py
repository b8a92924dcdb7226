"""The file of an outbox: whatever is written and wherever it is cut, what was promised is there."""

from __future__ import annotations

import random
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from custom_components.hubqueue import outbox_file
from custom_components.hubqueue.outbox_file import Left, OutboxFile, Put, Told

from support.disk import fill, small
from support.torture import sized

HUB = "6c8a0a3f9f2e"
CUTS = sized(ci=12, full=100_000)  # of each write, the first and last byte among them


def put(number: int, queue: str = "readings", text: str = "x", of: str | None = "feed") -> Put:
    return Put(number, queue, of, 1_700_000_000_000 + number, outbox_file.text_of([{"customId": text, "data": text}]))


def load(path: Path) -> Left:
    return OutboxFile(path, HUB).load()


def numbers(left: Left) -> list[int]:
    return [each.number for each in left.puts]


@dataclass
class History:
    """Random writes, and what must be in the file after each."""

    file: OutboxFile
    chance: random.Random
    puts: dict[int, Put] = field(default_factory=dict)
    told: dict[str | None, Told] = field(default_factory=dict)
    next: int = 1

    def write(self) -> None:
        new = [put(self._number(), self.chance.choice("ab"), self._text()) for _ in range(self.chance.randrange(4))]
        done = self.chance.sample(sorted(self.puts), self.chance.randrange(len(self.puts) + 1))
        told = [Told("feed", self.chance.randrange(9), 1, [{"error": self._text()}])] * self.chance.randrange(2)
        self.puts |= {each.number: each for each in new}
        for number in done:
            del self.puts[number]
        self.told |= {each.of: each for each in told}
        if self.chance.random() < 0.2:
            self.file.rewrite(list(self.puts.values()), list(self.told.values()))
        else:
            self.file.append(new, done, told)

    def _number(self) -> int:
        self.next += 1
        return self.next

    def _text(self) -> str:
        return "".join(self.chance.choices("aä\n\u2028\ud800\"'\x00", k=self.chance.randrange(12)))

    def state(self) -> tuple[list[Put], list[Told]]:
        return list(self.puts.values()), list(self.told.values())


@pytest.mark.parametrize("seed", range(sized(ci=8, full=2000)))
def test_it_is_cut_anywhere_and_what_was_written_before_is_there(tmp_path: Path, seed: int) -> None:
    path, cut = tmp_path / "outbox", tmp_path / "cut"
    history = History(OutboxFile(path, HUB), random.Random(seed))
    before, text_before = history.state(), b""
    for _ in range(6):
        history.write()
        after, text = history.state(), path.read_bytes()
        if text.startswith(text_before):  # it was appended: the power may have gone after any byte of it
            sizes = range(len(text_before), len(text))
            for size in sizes if len(sizes) <= CUTS else {sizes[0], sizes[-1], *history.chance.sample(sizes, CUTS)}:
                cut.write_bytes(text[:size])
                again = OutboxFile(cut, HUB)
                left = again.load()
                kept = {each.number for each in left.puts}
                assert kept >= {each.number for each in before[0]} & {each.number for each in after[0]}
                assert kept <= {each.number for each in (*before[0], *after[0])} | set(range(history.next + 1))
                assert left.damaged == 0
                again.append([put(10_000)], [], [])  # it goes on from there
                assert numbers(load(cut)) == [*numbers(left), 10_000]
        left = load(path)
        assert (left.puts, left.told, left.damaged, left.aside) == (*after, 0, None)
        before, text_before = after, text


def test_a_damaged_line_costs_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    OutboxFile(path, HUB).append([put(number) for number in range(1, 6)], [], [])
    text = path.read_bytes()
    for at in range(0, len(text), sized(ci=7, full=1)):
        for wrong in (0, ord("\n"), text[at] ^ 1):
            path.write_bytes(text[:at] + bytes([wrong]) + text[at + 1 :])
            hurt = text[: at + 1].count(b"\n") - (text[at] == ord("\n"))  # the line; the first is the hub's
            lost = {hurt, hurt + 1} if text[at] == ord("\n") else {hurt}  # without its end it is one with the next
            left = load(path)
            assert set(numbers(left)) >= {1, 2, 3, 4, 5} - lost
            assert left.aside is None


def test_one_that_is_not_ours_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "outbox"
    OutboxFile(path, "another").append([put(1)], [], [])
    text = path.read_bytes()
    left = load(path)
    assert (left.puts, path.exists()) == ([], False)
    assert left.aside is not None
    assert (tmp_path / left.aside).read_bytes() == text
    with monkeypatch.context() as future:
        future.setattr(outbox_file, "VERSION", 2)
        OutboxFile(path, HUB).append([put(1)], [], [])
    left = load(path)
    assert (left.puts, path.exists(), left.aside is None) == ([], False, False)


def test_one_that_cannot_be_read_is_set_aside_too(tmp_path: Path) -> None:
    path = tmp_path / "outbox"
    path.mkdir()
    aside = load(path).aside
    assert aside is not None
    assert (tmp_path / aside).is_dir()
    path.symlink_to(tmp_path / "elsewhere")
    aside = load(path).aside
    assert aside is not None
    assert (tmp_path / aside).is_symlink()
    assert load(path) == Left()


def test_only_its_owner_reads_it_and_it_goes_when_nothing_waits(tmp_path: Path) -> None:
    file = OutboxFile(tmp_path / "folder" / "outbox", HUB)
    assert file.load() == Left()
    file.append([put(1)], [], [])
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.rewrite([put(1)], [])
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.remove()
    file.remove()
    assert list(file.path.parent.iterdir()) == []


def test_killed_while_it_is_written_anew_the_old_one_counts(tmp_path: Path) -> None:
    file = OutboxFile(tmp_path / "outbox", HUB)
    file.append([put(1), put(2)], [], [])
    (tmp_path / "outbox.new").write_bytes(b"half a li")
    assert numbers(load(file.path)) == [1, 2]
    assert [each.name for each in tmp_path.iterdir()] == ["outbox"]
    (tmp_path / "outbox.new").write_bytes(b"half a li")
    file.rewrite([put(2)], [])
    assert numbers(load(file.path)) == [2]


def test_a_full_disk_costs_nothing_that_is_there(tmp_path: Path) -> None:
    with small(tmp_path / "disk", 1) as disk:
        file = OutboxFile(disk / "outbox", HUB)
        file.append([put(1)], [], [])
        filler = fill(disk)
        for write in (
            lambda: file.append([put(2, text="x" * 20_000)], [], []),
            lambda: file.rewrite([put(2, text="x" * 20_000)], []),
        ):
            with pytest.raises(OSError, match="space"):
                write()
            assert numbers(load(file.path)) == [1]
        filler.unlink()
        file.append([put(3)], [1], [])
        assert numbers(load(file.path)) == [3]
        assert sorted(each.name for each in disk.iterdir()) == ["outbox"]
