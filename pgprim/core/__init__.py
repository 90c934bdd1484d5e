"""Pure functions: one equation, one function. Arrays in, arrays out; no files, no configuration, no global state."""
