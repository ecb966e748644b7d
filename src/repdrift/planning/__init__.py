"""Planning: what a design can show before it is trained, and how many seeds and samples a claim needs."""
