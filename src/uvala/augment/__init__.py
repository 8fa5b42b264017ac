"""Changes of image and mask together, batched, on the device of the training."""
