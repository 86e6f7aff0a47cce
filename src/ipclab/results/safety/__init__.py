"""Turns the records of safety trials into what each of them saw go wrong."""
