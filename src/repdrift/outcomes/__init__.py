"""Outcomes: what the change of a model's hidden states did to what the model puts out."""
