"""The `statera` command and one main per process: the only place that wires adapters."""
