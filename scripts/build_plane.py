"""Compiles worker/plane: the wheel's build hook, and `python scripts/build_plane.py` for a checkout.

What has not changed is not built again; the C that Cython writes stays under build/.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tls_library import OWN_NAME, TlsLibrary, chosen

ROOT = Path(__file__).resolve().parent.parent
PLANE = ROOT / "worker" / "plane"
SCRATCH = ROOT / "build" / "plane"
# Cython's code for memoryviews is compiled once, not into every module.
SHARED = "worker.plane.cyutility"
STAMP = PLANE / ".built-with"
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

# Every memoryview that is passed to a function is copied, with room for so many dimensions less one. Cython's own 8
# make that 26 words; the plane has two.
DIMENSIONS = 3

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
FLAGS = [
    "-O3",
    "-fno-semantic-interposition",
    "-g1",
    "-Wall",
    "-Wno-unused-function",
    "-Wno-sign-compare",
]
SANITIZE = [
    "-fsanitize=address,undefined",
    "-fno-omit-frame-pointer",
    "-fno-sanitize-recover=undefined",
]


def build(*, force: bool = False, sanitize: bool = False, jobs: int | None = None) -> list[Path]:
    """Compile what has changed, in place; returns every extension module of the plane.

    Raises subprocess or compiler errors as they come: a plane that does not compile must stop the build.
    """
    jobs = jobs or os.cpu_count() or 1
    tls = chosen(PLANE)
    python = sys.version.replace("\n", " ")
    flavour = f"{'sanitize' if sanitize else 'plain'} {DIMENSIONS} {python}"
    recipe = repr((FLAGS, SANITIZE, DIRECTIVES))
    before = STAMP.read_text().split("\n") if STAMP.exists() else []
    # What was built when only the flavour was noted had the same flags.
    if before[:1] != [flavour] or before[2:3] not in ([], [recipe]):
        force = True
    other_library = before[1:2] != [tls.name]
    if other_library and not force:
        STAMP.write_text(f"{flavour}\n\n{recipe}")  # should it fail half way, it begins again
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        if force or other_library:
            tls.put_together(PLANE, SCRATCH)
        modules = translate(force=force, sanitize=sanitize, jobs=jobs, tls=tls)
        again = [module for module in modules if other_library and speaks_tls(module)]
        todo = [module for module in modules if force or module in again or stale(module)]
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(compile_one, todo))
    finally:
        os.chdir(here)
    STAMP.write_text(f"{flavour}\n{tls.name}\n{recipe}")
    own = PLANE / OWN_NAME
    return [*(built(module) for module in modules), *([own] if own.exists() else [])]


def extensions(*, sanitize: bool, tls: TlsLibrary) -> list[Any]:
    """Every module of the plane, and how it is compiled."""
    from setuptools import Extension

    flags = ["-O1", "-g", *SANITIZE] if sanitize else FLAGS
    found = []
    for source in sorted(path for path in PLANE.glob("*.py") if path.name != "__init__.py"):
        # What -V says it was built with.
        told = [("PINGPY_FLAGS", f'"{" ".join(flags)}"')] if source.stem == "tls_facts" else []
        found.append(
            Extension(
                f"worker.plane.{source.stem}",
                [str(source.relative_to(ROOT))],
                include_dirs=[*tls.include, str(PLANE)],
                define_macros=told,
                extra_compile_args=[*flags, *tls.compile_flags],
                extra_link_args=SANITIZE if sanitize else [],
            )
        )
    for module in filter(speaks_tls, found):
        module.libraries = list(tls.libraries)
        module.extra_link_args = [*module.extra_link_args, *tls.link_flags]
    return found


def speaks_tls(module: Any) -> bool:
    """Whether the module calls libssl; others meet its types at most, and those are the same in each library."""
    return str(module.name).rpartition(".")[2].startswith("tls")


def translate(*, force: bool, sanitize: bool, jobs: int, tls: TlsLibrary) -> list[Any]:
    """Have Cython write the C of every module that is older than what it cimports."""
    from Cython.Compiler import Options

    Options.buffer_max_dims = (
        DIMENSIONS  # before anything else of Cython is imported, and for its children
    )
    multiprocessing.set_start_method("fork", force=True)
    from Cython.Build import cythonize
    from setuptools import Extension

    modules: list[Any] = cythonize(
        extensions(sanitize=sanitize, tls=tls),
        shared_utility_qualified_name=SHARED,
        build_dir=str(SCRATCH.relative_to(ROOT)),
        compiler_directives=DIRECTIVES,
        nthreads=jobs,
        force=force,
        # Shared by several checkouts of one developer; Cython keys it by the text of all that a module cimports.
        cache=os.environ.get("CYTHON_CACHE_DIR", False),
        quiet=True,
    )
    shared = SCRATCH / "cyutility.c"
    if force or not shared.exists():
        code = (
            "from Cython.Compiler import Options\n"
            f"Options.buffer_max_dims = {DIMENSIONS}\n"
            "from Cython.Compiler.Main import setuptools_main\n"
            "setuptools_main()"
        )
        command = [sys.executable, "-c", code, "-3", f"--generate-shared={shared}"]
        subprocess.run(command, check=True)
    return [
        Extension(SHARED, [str(shared.relative_to(ROOT))], extra_compile_args=["-O2"]),
        *modules,
    ]


def built(module: Any) -> Path:
    """Where the extension of this module goes."""
    return PLANE / (module.name.rpartition(".")[2] + SUFFIX)


def stale(module: Any) -> bool:
    """Whether the extension is missing or older than its C."""
    target = built(module)
    return not target.exists() or target.stat().st_mtime < Path(module.sources[0]).stat().st_mtime


def compile_one(module: Any) -> None:
    """Run the C compiler once, through setuptools, in place."""
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    command = build_ext(Distribution({"ext_modules": [module]}))
    command.inplace = True
    command.force = True
    command.build_temp = str(SCRATCH)
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
