"""The data plane: serves requests; never manages a process."""
