"""The first tokens of general text: how tuning shifts them, and the tokens that the base model's unembedding reads from that shift.

Narrow tuning leaves its subject in the states of the first tokens of unrelated text (Minder et al. 2025, who read the first 5).

`texts`      the general text, cut to its first tokens
`base_reader` the base model's states at each layer and position, and what random directions give there
`measuring`  one trained model: its shifts, the tokens read from them, and those of random changes of the same size
`run_tokens` all trained models of a study: read from what an earlier analysis kept, and measured where the models are here
`kept`       the file of one model
`table`      the tidy table
"""
