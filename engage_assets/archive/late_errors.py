"""Error files that come after an erasure and name the fan: found for all erased fans in one pass, new ones at once."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import polars as pl

from engage_assets.archive.batches import ErrorFile
from engage_assets.archive.error_files import (
    Cleaned,
    clean_error,
    cleaned_error,
    error_bytes,
    error_keys,
    parse_error,
)
from engage_assets.archive.mentions import Mention, searchable
from engage_assets.archive.ports import Root

_AT_ONCE: Final = 256
"""Error files that are searched together."""


def clean_late_errors(errors: Root, fan_ids: Collection[str], renew: Callable[[], None]) -> Cleaned:
    """Take the personal values of erased fans out of all error files; `renew` prolongs the lease.

    Raises OSError, LeaseLost; EngageError where a file that names one of them is no error file.
    """
    done = Cleaned()
    mentions = {fan: Mention(fan) for fan in fan_ids}
    if not mentions:
        return done
    keys = iter(error_keys(errors))
    while some := list(islice(keys, _AT_ONCE)):
        renew()
        contents = dict(_read(errors, some))
        for (key, content), fans in zip(contents.items(), _named(list(contents.values()), mentions), strict=True):
            stated = parse_error(content, key) if fans else {}
            for fan in sorted(fans):
                stated = clean_error(errors, key, stated, mentions[fan], done)
    return done


def cleaned_files(files: Sequence[ErrorFile], fan_ids: Collection[str]) -> tuple[ErrorFile, ...]:
    """Error files as they may be put: without what is personal of erased fans; pure.

    Raises EngageError where a file that names one of them is no error file.
    """
    if not files or not fan_ids:
        return tuple(files)
    mentions = {fan: Mention(fan) for fan in fan_ids}
    named = _named([file.content for file in files], mentions)
    return tuple(
        _cleaned(file, [mentions[fan] for fan in sorted(fans)]) for file, fans in zip(files, named, strict=True)
    )


def _cleaned(file: ErrorFile, mentions: Sequence[Mention]) -> ErrorFile:
    if not mentions:
        return file
    before = stated = parse_error(file.content, file.key)
    for mention in mentions:
        stated = cleaned_error(stated, mention, Cleaned())
    return file if stated == before else replace(file, content=error_bytes(stated))


def _read(errors: Root, keys: Collection[str]) -> Iterator[tuple[str, bytes]]:
    for key in keys:
        try:
            yield key, errors.get(key)
        except FileNotFoundError:
            continue


def _named(contents: list[bytes], mentions: dict[str, Mention]) -> list[set[str]]:
    """For each file the fans that it may name."""
    fans: dict[str, set[str]] = defaultdict(set)
    always: set[str] = set()
    for fan, mention in mentions.items():
        if mention.fragments is None:
            always.add(fan)
        for fragment in mention.fragments or ():
            fans[fragment].add(fan)
    if not fans:
        return [always] * len(contents)
    searched = pl.Series([searchable(content) for content in contents], dtype=pl.String)
    found = searched.str.extract_many(list(fans), overlapping=True).to_list()
    return [always.union(*(fans[fragment] for fragment in fragments)) for fragments in found]
