"""What a source may declare, how it is found, how its files are fetched, and its terms."""
