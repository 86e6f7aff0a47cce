"""From the records of safety trials to what each of them saw go wrong."""
