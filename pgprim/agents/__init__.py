"""Environments, normalisers, policies, sampling, and the updates of PPO, PPO-M and TRPO."""
