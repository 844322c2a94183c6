"""Agreement of signatures: pure arrays in, statistics with their baselines and intervals out."""
