"""RTE: does the second text follow from the first? (Dagan et al. 2006 and successors, in GLUE.)"""

from repdrift.tasks.spec import TaskSpec, register

RTE = register(
    TaskSpec(
        name="rte",
        kind="classification",
        text_columns=("sentence1", "sentence2"),
        label_column="label",
        id_column="idx",
        label_names=("entailment", "not_entailment"),
        hub=("nyu-mll/glue", "rte"),
        title="RTE: does one text entail another",
    )
)
