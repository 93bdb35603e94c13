"""The server's memory: few pools for many threads."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

# Sixteen threads that allocate at once; then glibc lists its arenas.
SCRIPT = """
import ctypes, sys, threading
from neural_render_server.service.arenas import limit_arenas
if sys.argv[2] == "limited":
    assert limit_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(16)
def work():
    together.wait()
    for _ in range(100):
        libc.malloc(ctypes.c_size_t(20000))
    together.wait()
threads = [threading.Thread(target=work) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
def test_many_threads_share_few_arenas(tmp_path: Path) -> None:
    counts = {}
    for how in ("limited", "not"):
        listed = tmp_path / how
        subprocess.run([sys.executable, "-c", SCRIPT, str(listed), how], check=True, timeout=120)
        counts[how] = listed.read_text().count("<heap nr=")
    assert counts["limited"] <= 2 < counts["not"]
