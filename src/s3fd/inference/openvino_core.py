"""OpenVINO's entry point, of which a process needs one."""

from __future__ import annotations

from functools import cache

import openvino


@cache
def core() -> openvino.Core:
    """Return the process's `openvino.Core`, which is never released.

    Its CPU plugin gives the thread that loads it an alternate signal stack, and frees that stack when the
    plugin is released. Where another thread releases it, or two plugins are released in the order in which
    they were loaded, the first thread keeps a stack that is gone (OpenVINO 2026.4). If that is the main
    thread, the next signal that Python handles there, such as Ctrl-C, crashes the process.
    """
    return openvino.Core()
