"""What a trial of the experiment ``threads`` runs: workers as threads, as processes, as interpreters."""
