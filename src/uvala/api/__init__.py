"""The verbs of uvala, each composed of the steps below: what the command line and Python users call."""
