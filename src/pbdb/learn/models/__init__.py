"""Models of effects, baselines and metrics: arrays in, arrays out; NumPy and SciPy only."""
