"""Modules as folders: exports, versions, generated pages, the skeleton of a new one, the audit."""
