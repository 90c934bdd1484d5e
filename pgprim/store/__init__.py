"""Artifacts on disk: checkpoints, training records, rollout buffers, gradients and estimates."""
