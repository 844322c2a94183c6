"""From what a source writes of its cells to a cell line or cell type."""
