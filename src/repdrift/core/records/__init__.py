"""The files that outlive a refactor, as frozen and documented objects.

`base`                what all records share
`run`                 run.json beside a trained model
`representation_set`  metadata.json of a representation set
`results`             drift_analysis_results.json and the columns of the tidy drift table
`study_info`          its study, runs and controls
`claims`              its conclusions
`comparison`          comparison.json of `repdrift compare`
`reproduction`        reproduction.json of `repdrift reproduce`
"""
