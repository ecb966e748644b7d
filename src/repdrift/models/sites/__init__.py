"""Sites inside the blocks of a model: found by structure, and taken only if a forward pass on random tokens obeys the law of its block.

    block_record   what every module of a block was given and gave, in one run of that block
    part_names     the names that say where to look
    sums           which recorded outputs add up to another
    search         from such a record: where attention and MLP add to the residual stream, and by which law
    adapter_branch the branches of a LoRA adapter that write to the residual stream
    taps           the records: which module's input or output a site is, block by block, or in words why there is none

docs/explanation/sites.md has the laws, and the table of what each architecture has.
"""
