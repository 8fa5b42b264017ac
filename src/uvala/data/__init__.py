"""A data set in any form, understood by looking at it."""
