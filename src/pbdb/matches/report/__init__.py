"""Agreement as one page for people: figures in SVG, the numbers behind them, and single matches to look at."""
