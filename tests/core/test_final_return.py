import numpy as np

from pgprim.core.final_return import final_return


def test_the_mean_over_the_last_share_of_the_iterations():
    returns = np.arange(10.0)[None]
    np.testing.assert_array_equal(final_return(returns, np.array([False]), 0.3), [8.0])
    np.testing.assert_array_equal(final_return(returns, np.array([False]), 0.01), [9.0])
    np.testing.assert_array_equal(final_return(returns, np.array([False]), 1.0), [4.5])


def test_an_iteration_without_a_whole_episode_does_not_count():
    returns = np.array([[1.0, 2.0, np.nan, 6.0]])
    np.testing.assert_array_equal(final_return(returns, np.array([False]), 0.75), [4.0])


def test_a_run_that_diverged_is_worth_what_it_began_with():
    returns = np.array([[20.0, 400.0, np.nan, np.nan], [20.0, 400.0, 500.0, 600.0]])
    np.testing.assert_array_equal(final_return(returns, np.array([True, False]), 0.5), [20.0, 550.0])
