"""SQuAD 2.0 as a text to continue: write the answer to a question behind it, or `unanswerable` (Rajpurkar et al. 2018)."""

from repdrift.tasks.continuation import Continuation
from repdrift.tasks.spec import TaskSpec, register

SQUAD_V2_WORDS = register(
    TaskSpec(
        name="squad_v2_words",
        kind="causal_lm",
        text_columns=("question", "context"),
        label_column="answers",
        id_column="id",
        group_column="context",
        hub=("rajpurkar/squad_v2", None),
        title="SQuAD 2.0 in words: write the answer to a question behind it",
        folder="squad_v2",
        continuation=Continuation(
            template="{context}\nQuestion: {question}\nAnswer: {answers}", scorer="exact_match", max_new_tokens=32
        ),
    )
)
