"""A second look at what is loaded, by the specification alone: it shares no code with what filled the tables."""
