"""The public interface as text: ``python tests/api.py > tests/api.txt`` renews what test_api.py compares.

Public is what a module lists in ``__all__``, and of a class what this project gives it.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import s3fd


def modules() -> Iterator[str]:
    """Names of the modules that list what is public in them."""
    yield "s3fd"
    for found in pkgutil.walk_packages(s3fd.__path__, "s3fd."):
        spec = found.module_finder.find_spec(found.name, None)  # type: ignore[call-arg]
        if spec is None or spec.origin is None:
            continue
        if "__all__" in Path(spec.origin).read_text(encoding="utf-8"):
            yield found.name


def describe() -> Iterator[str]:
    """Yield a line a name and one a member of a class, in the order of the alphabet."""
    for name in sorted(modules()):
        module = import_module(name)
        for public in sorted(module.__all__):
            yield from _lines(f"{name}.{public}", getattr(module, public))


def _lines(path: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        yield f"class {path}{_signature(value)}"
        own = [c for c in value.__mro__ if c.__module__.startswith("s3fd")]
        fields = {name for c in own for name in vars(c).get("__annotations__", {})}
        members = {name: vars(c)[name] for c in reversed(own) for name in vars(c)}
        for name in sorted(fields | members.keys()):
            if name.startswith("_") and name not in ("__call__", "__getitem__", "__len__", "__iter__"):
                continue
            yield from _member(f"{path}.{name}", members.get(name))
    elif callable(value):
        yield f"def {path}{_signature(value)}"
    else:
        yield f"{path}: {type(value).__name__}"


def _member(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, property):
        yield f"    {path} (property)"
    elif isinstance(value, staticmethod | classmethod):
        yield f"    {path}{_signature(value.__func__)}"
    elif callable(value):
        yield f"    {path}{_signature(value)}"
    else:
        yield f"    {path}"


def _signature(value: Any) -> str:
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):
        return "(…)"


if __name__ == "__main__":
    print("\n".join(describe()))
