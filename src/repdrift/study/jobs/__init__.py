"""The jobs of a study: what each one needs and makes, who runs it and where, and what is known of it while it runs.

graph.py      jobs and what each waits for
work.py       runs one job in this process
plan_file.py  the frozen plan that worker processes run from
worker.py     runs one job of a plan file, and keeps its state and its log
launcher.py   the protocol of launchers, and their registry
launchers/    one file a launcher
driver.py     decides what is run next, for every launcher
"""
