"""Runs one fuzz target under libFuzzer (atheris); `scripts/fuzz` builds what it needs and calls it."""

from __future__ import annotations

import argparse
import ctypes
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent
# AddressSanitizer keeps a byte for every eight of an arena that was ever mapped, and what was freed lately.
RSS_LIMIT_MB = 4096


def targets() -> dict[str, tuple[Callable[[bytes], None], list[bytes], list[bytes]]]:
    """Every target of every *_targets.py beside this file, with its seeds and its module's words."""
    found = {}
    for path in sorted(FOLDER.glob("*_targets.py")):
        module = importlib.import_module(f"tests.fuzz.{path.stem}")
        for name, target in module.TARGETS.items():
            found[name] = (target, module.SEEDS.get(name, []), module.WORDS)
    return found


def load_counters(counters: Path) -> None:
    """Make our edge counters known to every extension that is loaded after this, and to libFuzzer.

    libFuzzer's own symbols stay local: seeing them, atheris would take it for linked into the interpreter.
    """
    import atheris

    (library,) = Path(atheris.__file__).parent.glob("core_with_libfuzzer*.so")
    ctypes.CDLL(str(counters), mode=ctypes.RTLD_GLOBAL).announce(str(library).encode())


def dictionary(path: Path, words: list[bytes]) -> Path:
    """The words in libFuzzer's notation."""
    lines = ['"' + "".join(f"\\x{octet:02x}" for octet in word) + '"' for word in words]
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> None:
    """Seed the corpus, then fuzz for the given time; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", help="which; without one, their names are printed")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--counters", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    options = parser.parse_args()
    load_counters(options.counters)
    import atheris

    found = targets()
    if options.target not in found:
        print("targets:", *found)
        sys.exit(2 if options.target else 0)
    target, seeds, words = found[options.target]
    corpus = options.corpus / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={options.seconds}",
        "-max_len=4096",
        f"-rss_limit_mb={RSS_LIMIT_MB}",
        f"-dict={dictionary(options.corpus / f'{options.target}.words', words)}",
        f"-artifact_prefix={options.corpus / options.target}.",
        "-print_final_stats=1",
    ]
    atheris.Setup(arguments, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
