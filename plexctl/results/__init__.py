"""Results of commands: values that a renderer turns into text, and `--json` into JSON."""
