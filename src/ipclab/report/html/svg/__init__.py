"""Pictures as SVG text: scales, axes, marks and labels. Pure functions; nothing knows what a backend is."""
