"""Batches cover all samples, and keep them nearly in the order of the file where that is asked for."""

from repdrift.batches.batching import BatchPlan


def test_windows_keep_token_rows_nearly_in_the_order_of_the_file(samples):
    plan = BatchPlan(samples, token_budget=20, window_tokens=30)
    assert sorted(i for batch in plan.sample_indices for i in batch) == list(range(len(samples)))
    seen: set[int] = set()
    prefixes = []
    for group in plan.sample_indices:
        seen |= set(group)
        prefixes.append(len(seen) == max(seen) + 1 and len(seen))
    # Windows of at least 30 tokens end after samples 4, 8 and 11: there all rows before are complete.
    assert {5, 9, 12} <= set(prefixes)
    assert all(sum(samples.lengths[i] for i in batch) <= 20 or len(batch) == 1 for batch in plan.sample_indices)
    assert BatchPlan(samples, **plan.settings).sample_indices == plan.sample_indices
