import numpy as np
import xarray as xr

from pgprim.plotting.figure_data import load_figure_data, save_figure_data
from pgprim.store.datasets import load_dataset


def test_data_of_a_figure_have_seven_digits_unless_single_precision_would_lose_a_value(tmp_path):
    ds = xr.Dataset(
        {
            "third": ("x", [1 / 3, np.nan, np.inf, 0.0]),
            "huge": ("x", [1e40, 1, 1, 1]),
            "tiny": ("x", [1e-40, 1, 1, 1]),
            "best_x": ("x", [0.1, np.nan, 0.3, 0.3]),
            "count": ("x", np.array([1, 2, 3, 2**30 + 1], dtype=np.int32)),
        },
        {"x": [0.1, 0.2, 0.3, 0.4]},
        {"task": "hopper"},
    )
    for array in ds.data_vars.values():
        array.attrs |= {"units": "1", "long_name": "a number"}
    file = tmp_path / "figure.nc"
    drawn = save_figure_data(file, ds)
    read = load_figure_data(file)
    xr.testing.assert_identical(read, drawn)
    assert load_dataset(file).third.dtype == np.float32 and read.third.dtype == np.float64
    np.testing.assert_allclose(read.third, ds.third, rtol=6e-8)
    assert read.third.attrs == ds.third.attrs
    xr.testing.assert_identical(read.drop_vars("third"), ds.drop_vars("third"))
