"""Outcomes: what the change of a model did to what it puts out and can do, item by item, beside the drift of its representations.

Nothing is imported here, so that the options of commands can be shown without torch. Where to find things:

    outcome        what an outcome is, and what it is given: the trained model, its base, samples, general text
    kinds/         one file for each kind of outcome, found by the registry `outcomes`
    outcome_files  the files of one kind of outcome of one run: reused, verified, written whole or not at all
    token_outcome  a number for each token, from two models' log-probabilities
    token_outcomes/  one file for each: forgetting, divergences, agreement
    read_places    the places of a text where models are asked for a token
    options        settings of a pass over two models' outputs
    retrieval_texts  pairs of texts that belong together; text_vectors: one vector for each text
"""
