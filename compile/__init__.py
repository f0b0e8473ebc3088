"""Models for SOPHON devices: from a checkpoint to a compiled .bmodel, and the proof that it computes the same."""
