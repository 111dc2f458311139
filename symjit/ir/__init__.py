"""The graph intermediate representation: nodes, JSON, inference, passes and the lowering to JAX."""
