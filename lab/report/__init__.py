"""The results of a run: tables on the terminal, `report.html`."""
