"""Statistics of matches from database to database: inputs, runs, retrieval, summaries."""
