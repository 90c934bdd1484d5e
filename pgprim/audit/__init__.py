"""The audit of one agent: the probes with a budget of minutes, and one page of results.

`plan` sets the size of the measurements, `jobs` runs them and knows which are done, `schedule` runs jobs in parallel,
`findings` turns datasets into numbers and sentences, `study` looks up the study's agents for comparison, and `draw`
and `page` make the page.
"""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
