"""Models of a published study, made again from its results alone, and held against what was published.

`published`     the results that are read, and the models that can be made again
`drawn`         the choice among them: at random, or by name
`model_study`   the study of one model, with the rate and settings that it had
`same_study`    the checks that base model, rows, settings and samples are the published ones
`made_again`    training it, measuring it, and the two sets of numbers side by side
`reproduction_cautions`  sentences that change how the numbers are read
`reproducing`   all of it, with its files
"""
