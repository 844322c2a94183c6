"""From what a source writes of a gene to an Ensembl gene of the pinned release."""
