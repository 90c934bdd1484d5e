import numpy as np

from pgprim.core.finite import finite_mean, finite_median


def test_means_and_medians_are_of_what_is_finite():
    values = np.array([[1.0, np.nan, 5.0, 3.0], [np.nan] * 4, [2.0, 2.0, 8.0, np.inf]])
    np.testing.assert_array_equal(finite_mean(values, axis=1), [3, np.nan, 4])
    np.testing.assert_array_equal(finite_median(values, axis=1), [3, np.nan, 2])
    np.testing.assert_array_equal(finite_mean(values[:, 2:]), [6.5, 3])
