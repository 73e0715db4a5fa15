"""Protocols, with adapters, of everything that is somebody else's."""
