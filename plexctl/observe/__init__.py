"""The timeline of a run, from its journal and from what its nodes have recorded."""
