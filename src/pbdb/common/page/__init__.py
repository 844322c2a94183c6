"""Pages of one file that need no network: drawing in SVG, charts, and the page with its styles and script."""
