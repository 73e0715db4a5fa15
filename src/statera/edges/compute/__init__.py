"""Where amphorae run: the Protocol and its adapters."""
