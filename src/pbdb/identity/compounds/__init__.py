"""From what a source writes of a compound to a structure and its keys."""
