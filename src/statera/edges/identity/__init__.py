"""Who is calling: the Protocol and its adapters."""
