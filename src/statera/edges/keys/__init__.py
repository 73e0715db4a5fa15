"""Where certificates live: the Protocol and its adapters."""
