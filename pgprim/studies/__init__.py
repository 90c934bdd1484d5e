"""Training with settings changed: one folder per study."""
