"""Which thing a name means: compounds, genes, contexts, and the vocabularies behind them."""
