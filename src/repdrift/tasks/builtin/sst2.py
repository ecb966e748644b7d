"""SST-2: is a sentence of a film review positive? (Socher et al. 2013, in GLUE.)"""

from repdrift.tasks.spec import TaskSpec, register

SST2 = register(
    TaskSpec(
        name="sst2",
        kind="classification",
        text_columns=("sentence",),
        label_column="label",
        id_column="idx",
        label_names=("negative", "positive"),
        hub=("nyu-mll/glue", "sst2"),
        title="SST-2: sentiment of a sentence",
    )
)
