"""Scores of predictions against truth: pure functions on arrays, no torch."""
