"""From raw profiles or cells to canonical, checked sample matrices."""
