"""Decisions of the planner, a file for each part of a training; each function decides one thing."""
