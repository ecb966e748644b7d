"""SQuAD 2.0: find the answer to a question in a text, or say that there is none (Rajpurkar et al. 2018)."""

from repdrift.tasks.spec import TaskSpec, register

SQUAD_V2 = register(
    TaskSpec(
        name="squad_v2",
        kind="extractive_qa",
        text_columns=("question", "context"),
        label_column="answers",
        id_column="id",
        hub=("rajpurkar/squad_v2", None),
        title="SQuAD 2.0: answer a question from a text, or abstain",
    )
)
