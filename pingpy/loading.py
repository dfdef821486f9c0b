"""Loads a user's classes: from a file or an importable name to an instance, or to complaints that name their own line.

Each worker is a new process, so each reload loads them afresh. Folders of users' modules are appended to the search
path, never put in front: nothing that lies beside a filter can stand in for a module of ours or of the library.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import linecache
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Protocol

from pingpy.errors import Complaint, ConfigError, Severity

OURS = frozenset(("pingpy", "master", "worker"))


class ModuleSpec(Protocol):
    """What one `[[modules]]` entry says."""

    @property
    def path(self) -> str:
        """A .py file, relative to the configuration's folder, or an importable name."""

    @property
    def class_(self) -> str:
        """The class in it."""

    @property
    def name(self) -> str | None:
        """What rules call it; by default the class's name in lower case."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Keyword arguments for the class."""


def load_modules(
    specs: Sequence[ModuleSpec], folder: Path, config: object = None
) -> dict[str, Any]:
    """An instance of every module, by name, each one checked. Raises ConfigError with all complaints."""
    instances: dict[str, Any] = {}
    complaints: list[Complaint] = []
    for index, spec in enumerate(specs):
        name = spec.name or spec.class_.lower()
        try:
            made = load_class(spec.path, spec.class_, folder, where=("modules", index))
            instances[name] = _instance(made, spec.options, config, where=("modules", index))
        except ConfigError as error:
            complaints += error.complaints
    if complaints:
        raise ConfigError(complaints)
    return instances


def load_class(
    path: str, class_name: str, folder: Path, *, where: tuple[str | int, ...] = ()
) -> type[Any]:
    """The class; raises ConfigError. `where`: the key of the configuration that asks for it."""
    module = load_module(path, folder, where=where)
    found = getattr(module, class_name, None)
    if isinstance(found, type):
        return found
    what = "is not a class" if hasattr(module, class_name) else "does not exist"
    classes = [name for name, value in vars(module).items() if _own_class(value, module)]
    raise _refusal(
        f"{class_name} {what} in {path}",
        (*where, "class"),
        f"classes there: {', '.join(classes)}" if classes else "",
    )


def load_module(path: str, folder: Path, *, where: tuple[str | int, ...] = ()) -> ModuleType:
    """The module; raises ConfigError with the place in the user's code when importing it raises."""
    is_file = path.endswith(".py") or "/" in path
    name = Path(path).stem if is_file else path
    if name.partition(".")[0] in OURS:
        raise _refusal(
            f"a module cannot be called {name!r}: that is one of pingpy's own packages",
            (*where, "path"),
            "rename the file",
        )
    file = (folder / path).resolve()
    if is_file and not file.is_file():
        raise _refusal(f"there is no file {file}", (*where, "path"))
    _append_to_search_path(file.parent if is_file else folder)
    with _without_bytecode():
        try:
            return _import_file(file) if is_file else importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise ConfigError([_complaint(f"cannot load {path}", error, where)]) from error


def _import_file(file: Path) -> ModuleType:
    """Under its plain name where that name leads to this file, so that its neighbours import the same module."""
    spec = importlib.util.find_spec(file.stem) if file.stem.isidentifier() else None
    if spec is not None and spec.origin is not None and Path(spec.origin).resolve() == file:
        return importlib.import_module(file.stem)
    name = f"pingpy_module_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _instance(
    made: type[Any], options: Mapping[str, Any], config: object, where: tuple[str | int, ...]
) -> Any:
    try:
        inspect.signature(made).bind(**options)
    except TypeError as error:
        raise _refusal(f"{made.__name__}: {error}", (*where, "options")) from error
    except ValueError:  # a class without a signature: calling it will tell
        pass
    try:
        instance = made(**options)
        check = getattr(instance, "check", None)
        if check is not None:
            check(config)
    except ConfigError:
        raise
    except Exception as error:
        message = f"{made.__name__} refuses its configuration"
        raise ConfigError([_complaint(message, error, where)]) from error
    return instance


def _own_class(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__


def _append_to_search_path(folder: Path) -> None:
    text = str(folder.resolve())
    if text not in sys.path:
        sys.path.append(text)
        importlib.invalidate_caches()


@contextmanager
def _without_bytecode() -> Iterator[None]:
    """No .pyc for users' modules: it is found valid by whole seconds, and two reloads can be closer than that."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _refusal(message: str, path: tuple[str | int, ...], advice: str = "") -> ConfigError:
    return ConfigError([Complaint(message, help=advice, path=path)])


def _complaint(message: str, error: BaseException, where: tuple[str | int, ...]) -> Complaint:
    """The traceback's last line, placed at the line of the user's code it came from."""
    last_line = traceback.format_exception_only(error)[-1].strip()
    file, line, column = user_place(error)
    return Complaint(
        f"{message}: {last_line}",
        severity=Severity.ERROR,
        file=file,
        line=line,
        column=column,
        source_line=linecache.getline(file, line).rstrip("\n") if line else "",
        path=where,
    )


def user_place(error: BaseException) -> tuple[str, int, int]:
    """File, line and column of the deepest frame that is a user's; ("", 0, 0) when there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0, max(error.offset or 1, 1)
    place = ("", 0, 0)
    for frame in _frames(error.__traceback__):
        file = frame.tb_frame.f_code.co_filename
        if not is_foreign(file):
            continue
        text = linecache.getline(file, frame.tb_lineno)
        indent = len(text) - len(text.lstrip())
        place = (file, frame.tb_lineno, indent + 1)
    return place


def _frames(first: TracebackType | None) -> Iterator[TracebackType]:
    while first is not None:
        yield first
        first = first.tb_next


_LIBRARY = tuple(
    f"{Path(module.__file__).resolve().parent}/"
    for module in (importlib, inspect)
    if module.__file__
)
_PACKAGE = Path(__file__).resolve().parent
_OURS_AT = tuple(f"{_PACKAGE.parent / name}/" for name in sorted(OURS))


def is_foreign(file: str) -> bool:
    """Whether a source file is a user's: not pingpy's, not the standard library's, not an installed package's."""
    if file.startswith("<") or "/site-packages/" in file or "/dist-packages/" in file:
        return False
    return not file.startswith(_OURS_AT) and not file.startswith(_LIBRARY)
