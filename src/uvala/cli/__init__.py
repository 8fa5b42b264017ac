"""The uvala command: a file per command, no logic."""
