"""Broken files for readers: mutations of good ones, and limits on what a reader may take.

``NEURAL_RENDER_FUZZ_EXAMPLES`` is how many a reader gets (few by default, thousands by hand).
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import resource
import signal
import struct
from collections.abc import Callable, Iterator
from typing import Any

import psutil
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from neural_render_server.errors import NeuralRenderError

EXAMPLES = int(os.environ.get("NEURAL_RENDER_FUZZ_EXAMPLES", "8"))
# A reader of a file of some kilobytes is done at once; this is a hang on any machine.
SECONDS = 60
# Beyond what the process holds already; what a reader would need for numbers that no file can back.
MEMORY = 3 * 2**30

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 100,  # the same few in every run of the tests
    suppress_health_check=list(HealthCheck),
    database=None,
)

ODD_NUMBERS = [0, -1, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1, -(2**63)]
ODD_VALUES = [
    None,
    True,
    "",
    "x",
    "../../etc/passwd",
    "/etc/passwd",
    "a\0b",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    0.5,
]
ODD_VALUES += [*ODD_NUMBERS, 1e308, -1e308, 1e-320, 10**400, float("nan"), float("inf")]


@st.composite
def broken_bytes(draw: st.DrawFn, good: bytes) -> bytes:
    """``good`` with some bytes changed, cut, doubled, or replaced by an odd number in binary."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["byte", "number", "double", "cut", "insert", "remove"]))
        if kind == "byte":
            data[at] = draw(st.integers(0, 255))
        elif kind == "number":
            number = draw(st.sampled_from(ODD_NUMBERS)) % 2**64
            size = draw(st.sampled_from([2, 4, 8]))
            data[at : at + size] = struct.pack("<Q", number)[:size]
        elif kind == "double":
            data[at : at + 8] = struct.pack("<d", draw(st.floats()))
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=16))
        else:
            del data[at : at + draw(st.integers(1, 64))]
    return bytes(data)


@st.composite
def broken_text(draw: st.DrawFn, good: bytes) -> bytes:
    """``good`` with some words replaced, lines dropped or doubled, or as ``broken_bytes``."""
    if draw(st.integers(0, 3)) == 0:
        return draw(broken_bytes(good))
    lines = good.decode().split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        words = lines[at].split(" ")
        kind = draw(st.sampled_from(["word", "drop", "double"]))
        if kind == "word":
            odd = draw(
                st.sampled_from(["", "nan", "inf", "1e999", "-1", "x", "2147483648", "9" * 30, "*", "&a"])
            )
            words[draw(st.integers(0, len(words) - 1))] = odd
            lines[at] = " ".join(words)
        elif kind == "drop" and len(lines) > 1:
            del lines[at]
        else:
            lines.insert(at, lines[at])
    return "\n".join(lines).encode()


@st.composite
def broken_json(draw: st.DrawFn, good: Any) -> bytes:
    """``good`` with some of its values, anywhere in it, replaced by odd ones or dropped."""
    tree = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(tree))
        if not places:
            break
        owner, key = draw(st.sampled_from(places))
        if draw(st.integers(0, 4)) == 0:
            del owner[key]
        else:
            owner[key] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


class Hung(BaseException):
    """No ``TimeoutError``: that is an ``OSError``, which readers take for a broken file."""


def survives(read: Callable[[], Any]) -> None:
    """``read`` ends in time and memory, well or with a sentence for the user; anything else goes up."""
    with limited(), contextlib.suppress(NeuralRenderError):
        read()


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """In time and memory, whatever the file says."""

    alarms = 0

    def too_long(*_: object) -> None:
        nonlocal alarms
        alarms += 1
        if alarms > 1:
            raise Hung(f"the reader hung for {SECONDS} s")
        signal.alarm(SECONDS)  # the first may only have come because the machine held this process

    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MEMORY, before[1]))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)
