"""Where ports and addresses come from: the Protocol and its adapters."""
