"""A run and an image make a prediction."""
