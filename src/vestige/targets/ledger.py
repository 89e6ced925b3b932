"""The ledger: it counts every query of an audit for its record, and keeps every answer that was paid for."""

import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import TypedDict, Unpack

import numpy as np
from jaxtyping import Int

from vestige.core.errors import ArtefactError, BudgetError, OutputError, RunFolderError
from vestige.core.messages import brief

_SCHEMA = """
BEGIN;
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS queries (
    number INTEGER PRIMARY KEY, attack TEXT NOT NULL, sent BLOB NOT NULL, kept BLOB NOT NULL, failed INTEGER NOT NULL,
    inputs BLOB NOT NULL, answers BLOB NOT NULL, checksum INTEGER NOT NULL);
COMMIT;
"""
_FORMAT = "vestige-queries-2"
_ASKED = "asked"  # how many queries the model may have answered: an entry that is never forgotten
_BEFORE = "asked before"  # as many of them the ledger began anew
KEY_BYTES = 16  # of an input's key


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What was asked.

    Attributes:
        n_sent: Queries that the model answered.
        n_kept: Queries whose answer was there already: an equal input was asked before. They cost nothing.
        n_failed: Requests that were sent and gave no answer.
        most_per_record: The most queries that were sent about one record.
        n_unanswered: Queries that the model may have answered though no answer came: their request failed, or the
            process ended before. They are spent.
    """

    n_sent: int
    n_kept: int
    n_failed: int
    most_per_record: int
    n_unanswered: int = 0


class Forgetting(TypedDict, total=False):
    """What a ledger forgets when it is opened; never how much was asked.

    Attributes:
        forget: Whether to forget what is noted of another model or other records, where no answers are kept.
        forget_answers: Whether to forget answers too.
        forget_records: Whether to forget which records it was about, too; it does unless this is false.
    """

    forget: bool
    forget_answers: bool
    forget_records: bool


class Ledger:
    """Counts queries per record and attack, and keeps answers, in one SQLite file or in memory.

    Before a query is sent it is taken from the budget, with the operating system when `take` returns; so whatever a
    kill cuts off is counted. What is noted is there when `note` returns, count and answers in one transaction. If the
    machine fails, the last of both may be lost. One process at a time, whose threads may take. Kept answers are held in
    memory too, about 0.2 kB each. Every row has a checksum, which is compared when the file is opened.

    Args:
        file: Where it is kept, readable by its owner only; in memory if None.
        n_records: Records of the audit.
        identity: Which model, asked in which way. Answers of another one are not taken for its.
        budget: The most queries that may be sent, over all attacks and all starts of the audit; None for no limit.
        inputs: Digest of the records, which the counts are about; not compared if empty.
        forget: What to forget; nothing if omitted.

    Raises:
        RunFolderError: The file belongs to another audit, or another process has it.
        ArtefactError: It is damaged, or of an earlier version, which had no checksums.
        OutputError: It cannot be written.
    """

    def __init__(
        self,
        file: Path | None,
        n_records: int,
        identity: str = "",
        budget: int | None = None,
        inputs: str = "",
        **forget: Unpack[Forgetting],
    ) -> None:
        self.file, self.n_records, self.budget = file, n_records, budget
        self._lock = RLock()
        with self._errors():
            if file is not None:
                os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(
                ":memory:" if file is None else file, isolation_level=None, timeout=0.5, check_same_thread=False
            )
        try:
            with self._errors():
                self._open()
            about = {"number of records": str(n_records)} | ({"records": inputs} if inputs else {})
            is_another = any(
                self._about.get(name, value) != value for name, value in {**about, "model": identity}.items()
            )
            is_to_forget = forget.get("forget", False) and not self._answers and is_another
            is_to_forget = is_to_forget or forget.get("forget_answers", False)
            forget_records = forget.get("forget_records", True)
            if is_to_forget and forget_records:
                self._forget((_ASKED,))
            for name, value in {"format": _FORMAT, **about}.items():
                self._same(name, value)
            if is_to_forget and not forget_records:  # once it is known to be about these
                self._forget((_ASKED, "format", *about))
            self._same("model", identity)
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        db = self._db
        db.text_factory = lambda text: text.decode(errors="surrogateescape")  # damage is for the checksum to find
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(about)")]
        if columns and "checksum" not in columns:
            raise sqlite3.DatabaseError("of an earlier version, without checksums")
        db.executescript(_SCHEMA)
        if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its pages do not fit each other")
        self._about = {}
        for name, value, checksum in db.execute("SELECT name, value, checksum FROM about"):
            if checksum != _checksum(name, value):
                raise sqlite3.DatabaseError("its entries are not as they were written")
            self._about[name] = value
        self._read()

    def _forget(self, but: tuple[str, ...]) -> None:
        asked = str(self._n_asked)
        with self._errors():
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM queries")
            self._db.execute(f"DELETE FROM about WHERE name NOT IN ({', '.join('?' * len(but))})", but)
            self._put(_BEFORE, asked)
            self._db.execute("COMMIT")
            self._about = {name: self._about[name] for name in but if name in self._about} | {_BEFORE: asked}
            self._read()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def spent(self) -> Spent:
        """What was asked so far, over all starts of the audit."""
        most = int(self._sent.max(initial=0))
        return Spent(
            n_sent=self._n_sent,
            n_kept=self._n_kept,
            n_failed=self._n_failed,
            most_per_record=most,
            n_unanswered=self.n_asked - self._n_sent - self._n_before,
        )

    @property
    def n_asked(self) -> int:
        """Queries that the model may have answered, over all starts, those before the ledger began anew included."""
        return self._n_asked

    @property
    def n_answers(self) -> int:
        """Answers that are kept."""
        return len(self._answers)

    def per_record(self, attack: str | None = None) -> Int[np.ndarray, " record"]:
        """Return how many queries were sent about each record, by one attack or by all."""
        where, values = ("", ()) if attack is None else (" WHERE attack = ?", (attack,))
        counts = np.zeros(self.n_records, dtype=np.int64)
        with self._errors():
            for (sent,) in self._db.execute(f"SELECT sent FROM queries{where}", values):
                _add_packed(counts, sent)
        return counts

    def per_attack(self) -> Mapping[str, int]:
        """Return how many queries each attack had answered, those included whose answer was kept."""
        with self._errors():
            rows = self._db.execute("SELECT attack, sent, kept FROM queries ORDER BY number").fetchall()
        totals: dict[str, int] = {}
        for attack, sent, kept in rows:
            totals[attack] = totals.get(attack, 0) + _size_of_packed(sent) + _size_of_packed(kept)
        return totals

    def reserve(self, n_queries: int) -> None:
        """Refuse queries that the budget does not hold, before any is sent.

        Raises:
            BudgetError: It does not.
        """
        if self.budget is not None and self._n_asked + n_queries > self.budget:
            lost = self.spent.n_unanswered
            on_what = f", {lost:,} of them by requests that failed or were cut off" if lost else ""
            raise BudgetError(
                f"Expected a budget of {self._n_asked + n_queries:,} queries or more, found {self.budget:,}, of which "
                f"{self._n_asked:,} are spent{on_what}; allow more, or ask about fewer records. None of these "
                f"{n_queries:,} was sent."
            )

    def take(self, n_queries: int) -> None:
        """Count queries that are about to be sent; from any thread.

        Raises:
            BudgetError: The budget does not hold them: they must not be sent.
            OutputError: They cannot be counted on the disk.
        """
        with self._lock:
            self.reserve(n_queries)
            self._write_asked(self._n_asked + n_queries)

    def give_back(self, n_queries: int) -> None:
        """Count queries no longer that were taken, but surely never reached the model."""
        with self._lock:
            self._write_asked(self._n_asked - n_queries)

    def _write_asked(self, n_asked: int) -> None:
        if self.file is not None:
            with self._errors():
                self._put(_ASKED, str(n_asked))
        self._n_asked = n_asked

    def _put(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?, ?)", (name, value, _checksum(name, value)))

    def note(
        self,
        attack: str,
        sent: Int[np.ndarray, " query"],
        *,
        kept: Int[np.ndarray, " equal"] | None = None,
        failed: int = 0,
        answers: Sequence[tuple[bytes, bytes]] = (),
        version: str = "",
    ) -> None:
        """Write down what was asked, and the answers, at once.

        Args:
            attack: Who asked.
            sent: Which record each query was about that the model answered.
            kept: The same of queries whose answer was there.
            failed: Requests that gave no answer.
            answers: The key of an input, of `KEY_BYTES`, and its answer each; answers are of one length.
            version: Version of the model that answered; all of a run must be of one.

        Raises:
            RunFolderError: Another version of the model answered before.
            OutputError: The disk is full, or the file gone.
        """
        kept = np.empty(0, dtype=np.int64) if kept is None else kept
        if version:
            self._same("version", version)
        if sent.size + kept.size + failed + len(answers) == 0:
            return
        packed = _packed(sent, self.n_records)
        inputs, given = (b"".join(side) for side in zip(*answers, strict=True)) if answers else (b"", b"")
        row = (attack, packed, _packed(kept, self.n_records), failed, inputs, given)
        with self._errors():  # one statement is one transaction
            self._db.execute(
                "INSERT INTO queries (attack, sent, kept, failed, inputs, answers, checksum) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*row, _checksum(*row)),
            )
        self._answers.update(answers)
        _add_packed(self._sent, packed)
        self._n_sent += sent.size
        self._n_kept += kept.size
        self._n_failed += failed
        if self._n_asked < self._n_before + self._n_sent:  # nobody took them
            self._write_asked(self._n_before + self._n_sent)

    def answers(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the answers that are kept, by the key of their input."""
        return {key: self._answers[key] for key in keys if key in self._answers}

    def _read(self) -> None:
        """Read and check every row."""
        self._sent, self._answers = np.zeros(self.n_records, dtype=np.int64), dict[bytes, bytes]()
        self._n_sent = self._n_kept = self._n_failed = 0
        rows = self._db.execute("SELECT number, attack, sent, kept, failed, inputs, answers, checksum FROM queries")
        for number, attack, sent, kept, failed, inputs, given, checksum in rows:
            if checksum != _checksum(attack, sent, kept, failed, inputs, given):
                raise sqlite3.DatabaseError(f"row {number} is not as it was written")
            with suppress(ValueError, IndexError):  # of another number of records, which is refused next
                _add_packed(self._sent, sent)
            self._n_sent += _size_of_packed(sent)
            self._n_kept += _size_of_packed(kept)
            self._n_failed += failed
            n = len(inputs) // KEY_BYTES
            size = len(given) // n if n else 0
            keys = (inputs[i * KEY_BYTES : (i + 1) * KEY_BYTES] for i in range(n))
            self._answers.update(zip(keys, (given[i * size : (i + 1) * size] for i in range(n)), strict=True))
        self._n_asked = int(self._about.get(_ASKED, "0"))
        self._n_before = int(self._about.get(_BEFORE, "0"))

    def _same(self, name: str, value: str) -> None:
        """Write an entry down the first time, and compare it from then on."""
        if name not in self._about:
            with self._errors():
                self._put(name, value)
            self._about[name] = value
        before = self._about[name]
        if before != value:
            raise RunFolderError(
                f"Expected answers of the same {name} as before, {before or 'none'}, found {value or 'none'}; answers "
                "of two are not mixed. Name another folder with --out, or bring the former back."
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        name = "the ledger" if self.file is None else self.file.name
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise RunFolderError(
                    f"Expected to be alone with {name}, found another process that asks there; wait for it, or name "
                    "another folder with --out."
                ) from None
            raise OutputError(f"Expected to write {name}, found: {error}; make room, it goes on from there.") from None
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # also of what it would complain about
            raise ArtefactError(
                f"Expected a ledger of queries in {name}, found a damaged file ({brief(str(error), 120)}); move "
                "it away, and what it held is asked again."
            ) from None
        except OSError as error:
            raise OutputError(
                f"Expected to write {name}, found {error.strerror or error}; name another place with --out."
            ) from None


def _checksum(*fields: str | bytes | int) -> int:
    """CRC-32 of the fields of a row and their lengths."""
    checksum = 0
    for field in fields:
        content = field if isinstance(field, bytes) else str(field).encode(errors="surrogateescape")
        checksum = zlib.crc32(content, zlib.crc32(b"%d " % len(content), checksum))
    return checksum


_NOTHING, _ALL, _LIST, _COUNTS = b"", b"a", b"l", b"c"


def _packed(records: np.ndarray, n_records: int) -> bytes:
    """Which records queries were about, as bytes: a list of few, counts of many, a letter for each of them once."""
    if not records.size:
        return _NOTHING
    if 8 * records.size < n_records:
        return _LIST + records.astype("<i4").tobytes()
    counts = np.bincount(records, minlength=n_records)
    most = int(counts.max())
    if most == counts.min() == 1:
        return _ALL + np.array([n_records], dtype="<i8").tobytes()
    dtype = np.dtype(next(t for t in ("<u1", "<u2", "<i4", "<i8") if most <= np.iinfo(t).max))
    return _COUNTS + dtype.str.encode() + counts.astype(dtype).tobytes()


def _add_packed(counts: np.ndarray, packed: bytes) -> None:
    kind = packed[:1]
    if kind == _ALL:
        counts += 1
    elif kind == _LIST:
        np.add.at(counts, np.frombuffer(packed, dtype="<i4", offset=1), 1)
    elif kind == _COUNTS:
        counts += _counts_of_packed(packed)


def _size_of_packed(packed: bytes) -> int:
    kind = packed[:1]
    if kind == _ALL:
        return int(np.frombuffer(packed, dtype="<i8", offset=1)[0])
    if kind == _COUNTS:
        return int(_counts_of_packed(packed).sum(dtype=np.int64))
    return (len(packed) - 1) // 4 if kind == _LIST else 0


def _counts_of_packed(packed: bytes) -> np.ndarray:
    return np.frombuffer(packed, dtype=packed[1:4].decode(), offset=4)
