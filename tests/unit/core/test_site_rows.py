"""Tests of rows by site: a table of an older version, and which rows statements about layers take."""

import numpy as np
import pandas as pd

from repdrift.core.site_rows import residual_rows, rows_of_other_sites, with_site_column

OLDER = pd.DataFrame({"task": ["t", "t"], "step": [0, 0], "layer": [0, 1], "drift": [0.1, 0.2]})


def test_a_table_of_an_older_version_is_of_the_residual_stream():
    completed = with_site_column(OLDER)
    assert list(completed.columns) == ["task", "step", "site", "layer", "drift"]
    assert set(completed["site"]) == {"resid_post"}
    assert residual_rows(OLDER) is OLDER
    assert rows_of_other_sites(OLDER).empty


def test_rows_of_other_sites_are_kept_apart_and_a_missing_site_is_the_residual_stream():
    table = pd.concat([OLDER.assign(site=name) for name in ("resid_post", "mlp_out", np.nan)], ignore_index=True)
    assert list(residual_rows(table).index) == [0, 1, 4, 5]
    assert list(rows_of_other_sites(table)["site"]) == ["mlp_out", "mlp_out"]
    assert list(with_site_column(table)["site"]) == ["resid_post"] * 2 + ["mlp_out"] * 2 + ["resid_post"] * 2


def test_empty_cells_of_a_csv_file_are_the_residual_stream():
    assert set(with_site_column(OLDER.assign(site=""))["site"]) == {"resid_post"}
