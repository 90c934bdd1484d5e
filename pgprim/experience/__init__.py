"""Experience of agents: rollouts, the values they are given, training, re-run iterations, forks."""
