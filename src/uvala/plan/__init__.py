"""Every setting of a training, decided from the data and the time, each with its reason."""
