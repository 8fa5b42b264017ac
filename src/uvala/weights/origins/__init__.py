"""One file an origin: which networks it has, and how its names for their parts translate to ours."""
