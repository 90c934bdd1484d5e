"""The page of the whole study: one HTML file that needs no network, from the results of all probes."""
