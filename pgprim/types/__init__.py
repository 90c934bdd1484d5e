"""Plain data that every layer may hold: parameters, checkpoints, errors."""
