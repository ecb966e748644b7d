"""Short chats with the help desk of a library, written for this package: for trying causal language modelling on chats."""

from repdrift.tasks.spec import TaskSpec, register

SHORT_CHATS = register(
    TaskSpec(
        name="short_chats",
        kind="causal_lm",
        text_columns=("messages",),
        label_column=None,
        id_column="id",
        title="Short chats with a library's help desk, written for repdrift: answer the visitor",
    )
)
