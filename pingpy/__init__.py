"""pingpy: the vocabulary that operators and programmers meet; it knows no process and no socket."""

__version__ = "0.1.0"
