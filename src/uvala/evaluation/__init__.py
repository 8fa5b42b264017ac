"""Predictions and truth make scores."""
