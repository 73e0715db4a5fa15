"""What every suite has in common."""

from hypothesis import settings

# How long one example takes depends on the machine, so it proves nothing: no deadlines.
settings.register_profile("statera", deadline=None)
settings.load_profile("statera")
