"""The headline of a study: one sentence, the same in terminal, summary, page and notebook.

contrast.py        a method against the reference: which comparison comes first, its verdict, and what it rests on
claim_clauses.py   what the tests say of the contrasts, each p with the claim that it is about
drift_clauses.py   where the drift is largest, and whether it is more than noise
skill_clauses.py   which models have learnt, which are missing, how scores differ
sentence.py        the clauses as a sentence, whole or short enough for a screen
"""

from repdrift.core.study_headline.sentence import headline, headlines

__all__ = ["headline", "headlines"]
