"""Reads a migration file and the one it `extends` strictly: every value keeps its file and line, so that errors do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 1_000_000
MAX_VALUES = 50_000
"""Values of one file with its aliases written out: what a few nested aliases can multiply stops here."""
MAX_DEPTH = 40
MAX_FILES = 8
"""Files that may extend one another."""

_TEXT = "tag:yaml.org,2002:str"
_MAP = "tag:yaml.org,2002:map"
_SEQ = "tag:yaml.org,2002:seq"
_MERGE = "tag:yaml.org,2002:merge"
_SCALARS = frozenset(f"tag:yaml.org,2002:{t}" for t in ("str", "int", "float", "bool", "null"))


class MigrationFileError(Exception):
    """A file cannot be used; one line that begins with `file:line: ` where the line is known."""


@dataclass(frozen=True)
class Place:
    """A line of a file, counted from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Located:
    """A value and where it stands. value: a scalar, a tuple of Located, or a dict of key to Located."""

    value: Any
    place: Place

    def plain(self) -> Any:
        """The value alone, as JSON knows it."""
        if isinstance(self.value, dict):
            return {k: v.plain() for k, v in self.value.items()}
        if isinstance(self.value, tuple):
            return [v.plain() for v in self.value]
        return self.value

    def place_of(self, path: Sequence[str | int]) -> Place:
        """Where the value at `path` stands; where there is none, the innermost value around it."""
        here = self
        for part in path:
            inner = None
            if isinstance(here.value, dict):
                inner = here.value.get(part)
            elif isinstance(here.value, tuple) and isinstance(part, int) and part < len(here.value):
                inner = here.value[part]
            # A part may be none of the file's: the validator names the kind of a value in between.
            if inner is not None:
                here = inner
        return here.place


def read_migration(path: Path) -> Located:
    """The content of `path` on top of what it extends. Raises MigrationFileError."""
    return _extended(path, ())


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode's categories Cc and Cs without tab and line feed."""


def control_character(text: str) -> str | None:
    """The first character that no name, SQL or sentence holds (control characters, lone surrogates), as U+XXXX."""
    found = _CONTROL.search(text)
    return None if found is None else f"U+{ord(found[0]):04X}"


def _extended(path: Path, over: tuple[Path, ...]) -> Located:
    reader = _Reader(path)
    whole = _read(path, reader.text())
    extends = whole.value.get("extends")
    if extends is None:
        return whole
    content = Located({k: v for k, v in whole.value.items() if k != "extends"}, whole.place)
    if not isinstance(extends.value, str) or not extends.value:
        raise MigrationFileError(f"{extends.place}: extends must be the path of a file")
    chain = (*over, path.resolve())
    base = path.parent / extends.value
    if base.resolve() in chain:
        raise MigrationFileError(f"{extends.place}: extends {extends.value}, which in the end extends this file")
    if len(chain) >= MAX_FILES:
        raise MigrationFileError(f"{extends.place}: more than {MAX_FILES} files extend one another")
    if not base.is_file():
        raise MigrationFileError(f"{extends.place}: extends {extends.value}, which is not a file")
    return _merged(_extended(base, chain), content)


def _merged(base: Located, over: Located) -> Located:
    """`over` on top of `base`: mappings by key, lists of entries by their `key` or `name`; else `over` replaces.

    It also replaces evidence of another `kind`, whose parameters have other names.
    """
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        kinds = [m["kind"].value for m in (base.value, over.value) if "kind" in m]
        if len(kinds) == 2 and kinds[0] != kinds[1]:
            return over
        merged = {k: _merged(base.value[k], v) if k in base.value else v for k, v in over.value.items()}
        return Located({**base.value, **merged}, over.place)
    if isinstance(base.value, tuple) and isinstance(over.value, tuple):
        entries = list(base.value)
        names = [_name_of(e) for e in entries]
        for entry in over.value:
            name = _name_of(entry)
            if name is None:
                return over
            if name in names:
                entries[names.index(name)] = _merged(entries[names.index(name)], entry)
            else:
                entries.append(entry)
        return Located(tuple(entries), over.place)
    return over


def _name_of(entry: Located) -> str | None:
    """What identifies an entry of a list. The `key` of a table is a list of columns and names nothing."""
    if not isinstance(entry.value, dict):
        return None
    values = (entry.value[k].value for k in ("key", "name") if k in entry.value)
    return next((v for v in values if isinstance(v, str)), None)


class _Loader(Composer, yaml.CSafeLoader):
    """Events by libyaml, nodes in Python: 5 instead of 32 ms for the bundled file.

    libyaml's own composer calls itself for each level of nesting and crashes the process on a deeply nested file.
    """

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)


def _compose(text: str) -> Node | None:
    """Text to nodes. Raises yaml.YAMLError and others of the YAML library."""
    try:
        found: Node | None = _Loader(text).get_single_node()
    except (yaml.YAMLError, ValueError):
        # The errors of the parser in Python name lines and causes better.
        found = yaml.compose(text, Loader=yaml.SafeLoader)
    return found


class _Reader:
    """One file: text to nodes by the YAML library, nodes to values here, where repeats and recursion are seen."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = MAX_VALUES
        self._scalars = yaml.SafeLoader("")

    def read(self, text: str) -> Located:
        """The mapping that `text` is. Raises MigrationFileError."""
        for number, line in enumerate(text.split("\n")):
            if (found := control_character(line)) is not None:
                raise self._error(number, f"holds the control character {found}: remove it")
        try:
            node = _compose(text)
        except yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            raise self._error(None if mark is None else mark.line, e.problem or e.context or "no YAML") from e
        except (yaml.YAMLError, ValueError, OverflowError) as e:
            raise self._error(None, f"no YAML: {e}") from e
        except RecursionError as e:
            raise self._error(None, f"is nested more than {MAX_DEPTH} levels deep") from e
        if not isinstance(node, MappingNode):
            raise self._error(None, "holds no mapping of names to values")
        return self._value(node, ())

    def text(self) -> str:
        """The file's text. Raises MigrationFileError."""
        try:
            with self._path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except FileNotFoundError as e:
            raise MigrationFileError(
                f"migration file {self._path} does not exist; set CUTOVER_MIGRATION to one that does"
            ) from e
        except (OSError, ValueError) as e:
            cause = getattr(e, "strerror", None) or e
            raise MigrationFileError(f"migration file {self._path} cannot be read: {cause}") from e
        if len(raw) > MAX_BYTES:
            raise self._error(None, f"is longer than {MAX_BYTES:,} bytes")
        try:
            return raw.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as e:
            raise self._error(raw.count(b"\n", 0, e.start), "is not UTF-8") from e

    def _error(self, line: int | None, what: str) -> MigrationFileError:
        """line: counted from 0, as the YAML library does."""
        where = f"{self._path}" if line is None else f"{self._path}:{line + 1}"
        return MigrationFileError(f"{where}: {' '.join(what.split())}")

    def _value(self, node: Node, around: tuple[Node, ...]) -> Located:
        line = node.start_mark.line
        self._left -= 1
        if self._left < 0:
            raise self._error(line, f"holds more than {MAX_VALUES:,} values once its aliases are written out")
        if any(n is node for n in around):
            raise self._error(line, "holds itself through an alias")
        if len(around) >= MAX_DEPTH:
            raise self._error(line, f"is nested more than {MAX_DEPTH} levels deep")
        place = Place(self._path, line + 1)
        if isinstance(node, MappingNode) and node.tag == _MAP:
            return Located(self._mapping(node, (*around, node)), place)
        if isinstance(node, SequenceNode) and node.tag == _SEQ:
            found = tuple(self._value(n, (*around, node)) for n in node.value)
            self._check_repeats(found)
            return Located(found, place)
        if isinstance(node, ScalarNode) and node.tag in _SCALARS:
            return Located(self._scalar(node), place)
        kind = node.tag.rsplit(":", 1)[-1]
        raise self._error(line, f"{kind} is no kind of value of a migration file: write text in quotes")

    def _mapping(self, node: MappingNode, around: tuple[Node, ...]) -> dict[str, Located]:
        own: dict[str, Located] = {}
        lines: dict[str, int] = {}
        inherited: dict[str, Located] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line
            if key_node.tag == _MERGE:
                for merged in self._merge_values(value_node, around):
                    inherited = {**merged, **inherited}
                continue
            if not isinstance(key_node, ScalarNode) or key_node.tag != _TEXT:
                shown = key_node.value if isinstance(key_node, ScalarNode) else "this"
                raise self._error(line, f"{shown} is no text and names nothing: write it in quotes")
            key = self._scalar(key_node)
            if key in own:
                raise self._error(line, f"{key!r} is given again; it was on line {lines[key] + 1} already")
            own[key], lines[key] = self._value(value_node, around), line
        return {**inherited, **own}

    def _merge_values(self, node: Node, around: tuple[Node, ...]) -> Iterator[Mapping[str, Located]]:
        for value in node.value if isinstance(node, SequenceNode) else [node]:
            found = self._value(value, around).value
            if not isinstance(found, dict):
                raise self._error(value.start_mark.line, "<< takes a mapping or a list of mappings")
            yield found

    def _check_repeats(self, entries: Sequence[Located]) -> None:
        """Two entries of a list with one `key` or `name`: one would replace the other where a file extends this."""
        seen: dict[str, Place] = {}
        for entry in entries:
            name = _name_of(entry)
            if name is None:
                continue
            if name in seen:
                raise MigrationFileError(
                    f"{entry.place}: {name!r} is given again; it was on line {seen[name].line} already"
                )
            seen[name] = entry.place

    def _scalar(self, node: ScalarNode) -> Any:
        line = node.start_mark.line
        try:
            value = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, KeyError, OverflowError) as e:
            raise self._error(line, f"{node.value!r} is no {node.tag.rsplit(':', 1)[-1]}") from e
        if isinstance(value, str) and (found := control_character(value)) is not None:
            raise self._error(line, f"holds the control character {found}: remove it")
        return value


@lru_cache(maxsize=MAX_FILES)
def _read(path: Path, text: str) -> Located:
    """What a text at `path` says; nothing changes it. An unchanged file is not parsed again, which takes 15 ms."""
    return _Reader(path).read(text)
