"""Desired state + observation -> steps.  Pure: time is an argument, outside effects are steps."""
