"""Lists that people keep for themselves or share with one another."""
