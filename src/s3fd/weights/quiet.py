"""Silence what a library logs while a model is converted: its progress, and warnings about its own code."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Let the logger called `name` pass errors only, and restore its level in the end.

    Its handlers stay as they are: they may be those of the program, and serve other loggers, too.
    """
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
