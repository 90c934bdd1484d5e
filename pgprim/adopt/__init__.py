"""Agents of other libraries: reading their files without these libraries and without running a pickle.

`write_agent` and `layers` need numpy and safetensors only, so that a training loop in any framework can call them.
The rest is imported from the modules: `adopt.read` reads, `adopt.checkpoint` makes checkpoints of what was read,
`adopt.fidelity` checks them, `adopt.series` handles several files of one agent.
"""

from pgprim.adopt.write import layers, write_agent

__all__ = ["layers", "write_agent"]
