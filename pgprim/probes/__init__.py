"""One folder per probe: what is measured (`estimate`) and how it is drawn (`plot`)."""
