"""What verbs answer: values that one renderer turns into text or JSON."""
