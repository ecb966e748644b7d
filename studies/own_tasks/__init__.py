"""Tasks of the reference study that are made from the rows of built-in ones, as files for a study: `python -m studies.own_tasks`."""
