"""The command line: one file per family of verbs; the only place where master and worker meet."""
