"""p(z | x), and what to do with it."""
