"""The interactive page of the study: one HTML file that works offline, from the results of all probes."""
