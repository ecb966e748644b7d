"""Sections for a model's README on a hub, in Markdown: of one trained model, of a study, and of a comparison.

No metadata block is written: the hub's `model-index` names metrics and data sets of the hub, and drift is none of these metrics.
"""
