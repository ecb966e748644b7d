"""Results for other people: exported studies, merged studies, and sections for a model card."""
