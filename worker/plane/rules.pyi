from typing import Any

def mixed_key(kind: int, left: int, right: int) -> int:
    """One key of the index from its kind and two hashes, as a signed word."""

def path_hash(text: bytes) -> int:
    """64-bit FNV-1a."""

class RuleSet:
    count: int
    def __init__(self, tables: Any) -> None:
        """`tables`: a worker.policy.rule_index.RuleTables."""
