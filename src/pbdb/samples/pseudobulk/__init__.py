"""From single cells to samples: filter, pool, write."""
