"""The page in a real browser: what it draws, what it asks for, and who can read it."""
