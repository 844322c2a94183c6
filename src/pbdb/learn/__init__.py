"""Learning on the compendium."""
