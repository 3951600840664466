"""What happened: where the time of a run went, from its journal and from inside its nodes."""
