"""How far a value moves with the samples: jackknife of single samples and of groups, bootstrap, intervals."""
