"""Balancing: one file per algorithm, and the interface of a custom one."""
