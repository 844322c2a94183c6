"""The arrays that an effect keeps: names of those with a value for each gene of its fit, in the order of copying."""

BY_EFFECT = ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj")
"""Of every effect that could be estimated."""
OF_LIMMA = ("neg_log10_p_limma", "neg_log10_p_adj_limma")
"""Besides, of effects whose p values are those of counts: limma's own."""
N_LANDMARKS = 978
"""Values of the signature that an effect keeps beside them: one for each landmark gene."""
