"""Compiles worker/plane: the wheel's build hook, and `python scripts/build_plane.py` for a checkout.

A module is rebuilt when its own source, any .pxd of the plane or this file is newer than what was built.
"""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLANE = ROOT / "worker" / "plane"
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": True,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "binding": False,
    "warn.undeclared": True,
    "warn.maybe_uninitialized": True,
}
SANITIZE = [
    "-fsanitize=address,undefined",
    "-fno-omit-frame-pointer",
    "-fno-sanitize-recover=undefined",
]


def stale(source: Path, newest_shared: float) -> bool:
    """Whether the extension of this source is missing or older than what it is made from."""
    built = source.with_name(source.stem + SUFFIX)
    return not built.exists() or built.stat().st_mtime < max(source.stat().st_mtime, newest_shared)


def build(*, force: bool = False, sanitize: bool = False, jobs: int | None = None) -> list[Path]:
    """Compile what is stale, in place; returns every extension module of the plane.

    Raises subprocess or compiler errors as they come: a plane that does not compile must stop the build.
    """
    stamp = PLANE / ".built-with"
    flavour = f"{'sanitize' if sanitize else 'plain'} {sys.version}"
    if not stamp.exists() or stamp.read_text() != flavour:
        force = True
    shared = [Path(__file__), *PLANE.glob("*.pxd"), *PLANE.glob("*.h")]
    newest = max(path.stat().st_mtime for path in shared)
    sources = sorted(path for path in PLANE.glob("*.py") if path.name != "__init__.py")
    todo = [path for path in sources if force or stale(path, newest)]
    if todo:
        compile_all(todo, sanitize=sanitize, jobs=jobs or os.cpu_count() or 1)
    stamp.write_text(flavour)
    return [path.with_name(path.stem + SUFFIX) for path in sources]


def compile_all(sources: list[Path], *, sanitize: bool, jobs: int) -> None:
    """Translate with Cython, then run the C compiler once per module, a few at a time."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    extra = ["-O2", "-g1", "-Wall", "-Wno-unused-function", "-Wno-sign-compare"]
    if sanitize:
        extra = ["-O1", "-g", *SANITIZE]
    extensions = [
        Extension(
            f"worker.plane.{source.stem}",
            [str(source.relative_to(ROOT))],
            include_dirs=[str(PLANE)],
            libraries=["ssl", "crypto"] if source.stem.startswith("tls") else [],
            extra_compile_args=extra,
            extra_link_args=SANITIZE if sanitize else [],
        )
        for source in sources
    ]
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        with tempfile.TemporaryDirectory(prefix="pingpy-build-") as scratch:
            modules = cythonize(
                extensions,
                build_dir=scratch,
                compiler_directives=DIRECTIVES,
                nthreads=jobs if len(extensions) > 1 else 0,
                force=True,
                quiet=True,
            )
            with ThreadPoolExecutor(jobs) as pool:
                list(
                    pool.map(
                        lambda module: compile_one(build_ext, Distribution, module, scratch),
                        modules,
                    )
                )
    finally:
        os.chdir(here)


def compile_one(build_ext: Any, distribution: Any, module: Any, scratch: str) -> None:
    """Run one setuptools build_ext, in place."""
    command = build_ext(distribution({"ext_modules": [module]}))
    command.inplace = True
    command.build_temp = scratch
    command.finalize_options()
    command.verbose = False
    command.run()


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script in an environment without hatchling
    pass
else:

    class PlaneBuildHook(BuildHookInterface[Any]):
        """Puts the compiled plane into the wheel."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile and add the extensions; the wheel becomes one for this interpreter and platform."""
            if self.target_name != "wheel":
                return
            built = build()
            if version != "editable":
                for path in built:
                    name = str(path.relative_to(ROOT))
                    build_data["force_include"][str(path)] = name
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def main() -> None:
    """Build from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", action="store_true", help="compile everything")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UBSan")
    options = parser.parse_args()
    for path in build(force=options.force, sanitize=options.sanitize):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
