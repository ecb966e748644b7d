"""Slurm, for the launcher of job arrays: its options, the files of what was submitted, its commands, and what one element of an array runs.

options.py      what `--launcher-option` gives, checked, and as submitit takes it
element.py      runs one job on the node where Slurm starts it
array_files.py  which arrays hold which jobs, and how elements ended
queue.py        asks Slurm, by squeue, sacct and scancel
local_queue.py  the same for processes of this machine
submission.py   gives an array to submitit
outcome.py      says how an element ended
"""
