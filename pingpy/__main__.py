"""`python -m pingpy`, and the console scripts."""

from __future__ import annotations

from pingpy.cli.main import main

if __name__ == "__main__":
    main()
