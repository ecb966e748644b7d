"""Models of a published study, made again from its results alone, and held against what was published.

`published`     the results that are read, and the models that can be made again
`drawn`         the choice among them: at random, or by name
`model_study`   the study of one model, with the rate and settings that it had
`made_again`    training it, measuring it, and the two sets of numbers side by side
`reproducing`   all of it, with its files
"""
