"""MRPC: do two sentences say the same? (Dolan and Brockett 2005, in GLUE.)"""

from repdrift.tasks.spec import TaskSpec, register

MRPC = register(
    TaskSpec(
        name="mrpc",
        kind="classification",
        text_columns=("sentence1", "sentence2"),
        label_column="label",
        id_column="idx",
        label_names=("different", "paraphrase"),
        hub=("nyu-mll/glue", "mrpc"),
        title="MRPC: are two sentences paraphrases",
    )
)
