"""The audit of one agent: the probes at a size of minutes, and one page that says what they show.

`plan` says what is measured and how much of it, `jobs` measures and knows what is done, `schedule` runs jobs side by side,
`findings` turns datasets into numbers and sentences, `study` looks up what the study's agents show at the same place, and
`draw` and `page` make the page.
"""

import pgprim.kernels  # noqa: F401  before any module of this package loads numpy or torch
