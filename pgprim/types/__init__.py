"""Plain data that every layer may use: parameters, checkpoints, errors."""
