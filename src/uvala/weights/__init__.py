"""Checkpoints of other projects, read into uvala's networks and written back."""
