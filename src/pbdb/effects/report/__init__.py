"""The quality of plates as one page: figures of wells, genes and effects, and worries where a stated test says so."""
