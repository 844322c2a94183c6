"""Sources of simulated screens, which no published data set has."""
