"""Tables of the core, one module per concern."""
