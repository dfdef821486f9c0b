"""Measures pingpy side by side with other proxies; `scripts/bench` is the command."""
